package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"time"
)

// chunk is bytes that are passed on at a time.
type chunk struct {
	due   time.Time
	bytes []byte
}

// relay passes connections on to a server until it is ended.
func relay(arguments []string) error {
	flags := flag.NewFlagSet("relay", flag.ExitOnError)
	listen := flags.String("listen", "", "HOST:PORT to listen at")
	to := flags.String("to", "", "HOST:PORT of the server")
	certificate := flags.String("cert", "", "PEM file; with it clients speak TLS from the first byte")
	key := flags.String("key", "", "PEM file")
	delay := flags.Duration("delay", 0, "of each way; a round trip takes twice as long")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	if *certificate != "" {
		pair, err := tls.LoadX509KeyPair(*certificate, *key)
		if err != nil {
			return err
		}
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}})
	}
	fmt.Println("listening")
	for {
		client, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			server, err := net.Dial("tcp", *to)
			if err != nil {
				client.Close()
				return
			}
			go pass(client, server, *delay)
			pass(server, client, *delay)
		}()
	}
}

// pass copies until one end is gone, and closes the other; what was read is written after the delay.
func pass(from, to net.Conn, delay time.Duration) {
	defer to.Close()
	if delay == 0 {
		_, _ = io.Copy(to, from)
		return
	}
	waiting := make(chan chunk, 1024)
	go func() {
		defer close(waiting)
		for {
			buffer := make([]byte, 16*1024)
			count, err := from.Read(buffer)
			if count > 0 {
				waiting <- chunk{due: time.Now().Add(delay), bytes: buffer[:count]}
			}
			if err != nil {
				return
			}
		}
	}()
	for next := range waiting {
		time.Sleep(time.Until(next.due))
		if _, err := to.Write(next.bytes); err != nil {
			from.Close()
			return
		}
	}
}
