"""`make demo`: from kubectl apply to a delivered mail, on real parts.

On a terminal it stays up until Ctrl-C, so that you can look around. Elsewhere, as in a pipe, it ends by itself. Its
exit status is 0 only if every step did what it should.
"""

import argparse
import contextlib
import pathlib
import signal
import sys

from demo import existing, failing, folders, mail, program, scenario, screen, stage, tour
from kit import binaries


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--context", help="use this context of your kubeconfig instead of a cluster of the demo's own")
    parser.add_argument("--folder", type=pathlib.Path, help="write everything here and leave it; a new folder")
    return parser.parse_args()


def run(folder: pathlib.Path, *, context: str | None) -> None:
    """Run the demo in a folder.

    Raises:
        Exception: A step did not do what it should.
    """
    with contextlib.ExitStack() as stack:
        needed = existing.needed() if context else binaries.DEMO
        if not binaries.present(*needed):
            screen.title("While the real parts are built")
            binaries.ensure(*needed, meanwhile=lambda: tour.run(building=needed))
        screen.title("1. Real parts")
        with screen.step(
            "a Kubernetes API server" + (f" (context {context})" if context else " with its etcd, on loopback")
        ):
            cluster = existing.Existing(context, folder) if context else stage.local_cluster(folder, stack)
        with screen.step("SMTP servers with TLS: a relay (Mailpit) and three that record everything"):
            on = stage.Stage(folder, on=cluster, stack=stack)
        with screen.step("the CRDs, and a ServiceAccount with the operator's rights"):
            kubeconfig = existing.install(cluster, on)
        with screen.step("mailtier sender, mailtier operator"):
            on.start_mailtier(kubeconfig)
            for role, port in (("sender", on.sender_port), ("operator", on.operator_port)):
                existing.until_ready(role, port)
        story = scenario.Story(on)
        screen.title("2. kubectl apply")
        story.apply()
        story.settle()
        screen.title("3. A Secret that does not say where its password may go")
        story.mend()
        screen.title("4. Notifications")
        story.send()
        story.check()
        screen.title("5. The command line")
        program.run(on)
        screen.title("6. Traces")
        traces = story.search()
        screen.title("Summary")
        last = story.summary(traces)
        stays = sys.stdin.isatty() and sys.stdout.isatty()
        if stays:
            _stay(on)
        if context:
            screen.title("Left in your cluster")
            screen.say(
                f"kubectl --context {context} delete namespace mailtier-system acme birch cedar dune elm fern grove\n"
                f"kubectl --context {context} delete clusterrole,clusterrolebinding mailtier-demo-platform\n"
                f"kubectl --context {context} delete -f crds"
            )
        print(f"\n{last}", flush=True)
    _farewell(stays=stays)


def _farewell(*, stays: bool) -> None:
    """Say that it went well and is over, and what next; on stderr too where stdout is not what somebody looks at."""
    more = "" if stays else " Run `make demo` on a terminal, and it stays up for you to look around."
    said = f"Every step did what it should, and everything is stopped.{more}"
    print(said, flush=True)
    if not sys.stdout.isatty() and sys.stderr.isatty():
        print(said, file=sys.stderr)


def _stay(on: stage.Stage) -> None:
    """Print what to try next, and return at Ctrl-C."""
    screen.title("What to try next")
    screen.say(
        f"""export KUBECONFIG={on.cluster.kubeconfig}
kubectl get hes,oes,ntf -A
kubectl describe oes -n elm default      # what a stranger is told
kubectl explain oes.spec.smtp.tls
kubectl edit oes -n birch default        # try an address of somebody else
curl -s {on.relay.url}/api/v1/messages   # the relay's mail

{program.shown(on)}

# The intake is {on.intake_url}, its CA {on.intake_ca}
TOKEN=$(kubectl create token app -n birch --audience=mailtier)
curl --cacert {on.intake_ca} -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
  -d '{{"category": "JobAlert", "subject": "Hello", "text": "By hand.", "recipients": ["you@birch.example"]}}' \\
  {on.intake_url}{mail.path("birch")}

curl -s http://127.0.0.1:{on.operator_port}/metrics | grep ^mailtier_
tail -f {on.folder}/operator.log {on.folder}/sender.log"""
    )
    print("\nEverything keeps running until Ctrl-C.", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()
    print("\nstopping ...", flush=True)


def _stop(_number: int, _frame: object) -> None:
    """End the demo, once: a terminal that is closed says so more than once, and must not end the clearing up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    """Run the demo; return 0 if every step did what it should."""
    arguments = _arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Also where the shell that started us in the background has SIGINT ignored.
        signal.signal(number, _stop)
    with folders.opened(arguments.folder) as folder:
        try:
            run(folder.path, context=arguments.context)
        except KeyboardInterrupt:
            print("\nstopped", file=sys.stderr)
            return 130
        except Exception as error:  # noqa: BLE001  # Whatever it is, the person gets a sentence and the logs' place.
            print(f"\nThe demo failed: {failing.told(error)}", file=sys.stderr)
            if folder.keep_logs():
                print(f"Its logs are in {folder.path}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
