// Command health says what three tools that wait for objects make of them: kstatus, Argo CD and Flux.
//
// It reads one JSON document from standard input and writes a list of verdicts to standard output, in the order of
// the objects. kstatus and Flux are their own libraries. Argo CD's part is its Lua interpreter with the libraries that
// it opens for a health script, because its own package cannot be imported without all of Argo CD.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// scriptTimeout is what Argo CD gives a health script.
const scriptTimeout = time.Second

type question struct {
	// Lua holds Argo CD's health scripts by kind.
	Lua map[string]string `json:"lua"`
	// Flux holds Flux' expressions, as a Kustomization lists them.
	Flux []kustomize.CustomHealthCheck `json:"flux"`
	// Objects are Kubernetes objects.
	Objects []map[string]any `json:"objects"`
}

type verdict struct {
	Kind           string `json:"kind"`
	Name           string `json:"name"`
	Kstatus        string `json:"kstatus"`
	KstatusMessage string `json:"kstatusMessage"`
	ArgoCD         string `json:"argocd,omitempty"`
	ArgoCDMessage  string `json:"argocdMessage,omitempty"`
	Flux           string `json:"flux,omitempty"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	var asked question
	// Kubernetes' own decoder makes whole numbers int64, without which a generation is not recognized.
	if err := utiljson.Unmarshal(text, &asked); err != nil {
		return fmt.Errorf("the question is not JSON: %w", err)
	}
	evaluators := map[string]*cel.StatusEvaluator{}
	for _, check := range asked.Flux {
		evaluator, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions)
		if err != nil {
			return fmt.Errorf("Flux, %s: %w", check.Kind, err)
		}
		evaluators[check.Kind] = evaluator
	}
	verdicts := make([]verdict, 0, len(asked.Objects))
	for _, content := range asked.Objects {
		found, err := judge(&unstructured.Unstructured{Object: content}, asked.Lua, evaluators)
		if err != nil {
			return err
		}
		verdicts = append(verdicts, found)
	}
	return json.NewEncoder(out).Encode(verdicts)
}

func judge(
	object *unstructured.Unstructured, scripts map[string]string, evaluators map[string]*cel.StatusEvaluator,
) (verdict, error) {
	kind, name := object.GetKind(), object.GetName()
	found := verdict{Kind: kind, Name: name}
	result, err := status.Compute(object)
	if err != nil {
		return found, fmt.Errorf("kstatus, %s %s: %w", kind, name, err)
	}
	found.Kstatus, found.KstatusMessage = result.Status.String(), result.Message
	if script, known := scripts[kind]; known {
		found.ArgoCD, found.ArgoCDMessage, err = health(script, object.Object)
		if err != nil {
			return found, fmt.Errorf("Argo CD, %s %s: %w", kind, name, err)
		}
	}
	if evaluator, known := evaluators[kind]; known {
		result, err := evaluator.Evaluate(context.Background(), object)
		if err != nil {
			return found, fmt.Errorf("Flux, %s %s: %w", kind, name, err)
		}
		found.Flux = result.Status.String()
	}
	return found, nil
}

// health returns what a script says of an object: status and message of the table that it returns.
func health(script string, object map[string]any) (string, string, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
	} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return "", "", err
		}
	}
	limit, cancel := context.WithTimeout(context.Background(), scriptTimeout)
	defer cancel()
	state.SetContext(limit)
	state.SetGlobal("obj", decode(state, object))
	if err := state.DoString(script); err != nil {
		return "", "", err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return "", "", fmt.Errorf("the script returned a %s, not a table", state.Get(-1).Type())
	}
	status, ok := table.RawGetString("status").(lua.LString)
	if !ok {
		return "", "", fmt.Errorf("the table has no status")
	}
	return string(status), lua.LVAsString(table.RawGetString("message")), nil
}

func decode(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case string:
		return lua.LString(value)
	case bool:
		return lua.LBool(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	case []any:
		list := state.CreateTable(len(value), 0)
		for _, item := range value {
			list.Append(decode(state, item))
		}
		return list
	case map[string]any:
		table := state.CreateTable(0, len(value))
		for key, item := range value {
			table.RawSetString(key, decode(state, item))
		}
		return table
	}
	return lua.LNil
}
