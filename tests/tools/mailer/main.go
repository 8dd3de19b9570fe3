// Command mailer is what the bench of the sender runs beside it: go-mail as a client of an SMTP server, and a relay
// that stands before such a server and adds TLS, or the delay of a network, to what it passes on.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/wneessen/go-mail"
)

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: mailer send|relay OPTIONS")
	}
	var err error
	switch os.Args[1] {
	case "send":
		err = send(os.Args[2:])
	case "relay":
		err = relay(os.Args[2:])
	default:
		err = fmt.Errorf("unknown command %q", os.Args[1])
	}
	if err != nil {
		log.Fatal(err)
	}
}

// send prints how long so many messages took over so many connections, and the CPU time of this process meanwhile.
// Connections are opened before, and kept.
func send(arguments []string) error {
	flags := flag.NewFlagSet("send", flag.ExitOnError)
	address := flags.String("address", "", "HOST:PORT of the server")
	connections := flags.Int("connections", 1, "at the same time")
	messages := flags.Int64("messages", 1000, "in all")
	size := flags.Int("size", 4000, "bytes of the text")
	authority := flags.String("ca", "", "PEM file; with it TLS begins at once")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	text := strings.Repeat(strings.Repeat("x", 78)+"\r\n", *size/80)
	clients := make([]*mail.Client, *connections)
	for number := range clients {
		client, err := dial(*address, *authority)
		if err != nil {
			return err
		}
		defer client.Close()
		clients[number] = client
	}
	var taken atomic.Int64
	var group sync.WaitGroup
	failures := make(chan error, *connections)
	started, before := time.Now(), cpuSeconds()
	for _, client := range clients {
		group.Go(func() {
			message := mail.NewMsg(mail.WithEncoding(mail.NoEncoding), mail.WithNoDefaultUserAgent())
			if err := message.From("no-reply@example.com"); err != nil {
				failures <- err
				return
			}
			if err := message.To("somebody@example.org"); err != nil {
				failures <- err
				return
			}
			message.Subject("A message of the bench")
			message.SetBodyString(mail.TypeTextPlain, text)
			for taken.Add(1) <= *messages {
				if err := client.Send(message); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	group.Wait()
	seconds, used := time.Since(started).Seconds(), cpuSeconds()-before
	close(failures)
	if err := <-failures; err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{"seconds": seconds, "cpu_seconds": used})
}

func dial(address, authority string) (*mail.Client, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, err
	}
	// Neither NOOP before each message nor RSET after it: a round trip each, which the others do not make.
	options := []mail.Option{
		mail.WithPort(port), mail.WithHELO("bench.example.com"), mail.WithoutNoop(), mail.WithoutRset(),
		mail.WithTLSPolicy(mail.NoTLS),
	}
	if authority != "" {
		pem, err := os.ReadFile(authority)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		options = append(options, mail.WithSSL(), mail.WithTLSConfig(&tls.Config{RootCAs: pool, ServerName: host}))
	}
	client, err := mail.NewClient(host, options...)
	if err != nil {
		return nil, err
	}
	return client, client.DialWithContext(context.Background())
}

// cpuSeconds returns the CPU time that this process has used.
func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}
