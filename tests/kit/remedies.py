"""A stranger who mends settings: reads what a status says, and does that, knowing nothing else of them.

Commands are run as they are printed, with their placeholders filled in. What is told in words is done by the first of
a few readers of such words.
"""

import collections.abc
import dataclasses
import json
import pathlib
import re
import shlex
import typing

from kit import certs, wait, worlds

Json = dict[str, typing.Any]

_WITHIN_SECONDS = 30.0
"""What does not satisfy is read again after at most 15 s; the rest is for a machine that is busy."""
_MOST_STEPS = 6

_ALSO = re.compile(r" Also (?=[A-Z][A-Za-z]+: )")
_FAULT = re.compile(r"(?:(?P<reason>[A-Z][A-Za-z]+): )?(?:(?P<field>spec\.[\w.]+): )?")
_COMMAND = re.compile(r"`kubectl ([^`]+)`")
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", re.DOTALL)

_KNOWN: typing.Final = {"spec.smtp.host": "smtp.team.example", "spec.from.address": "team@team.example"}
"""What the stranger knows of mail beside: the server and the address of their own."""


class NoRemedyError(AssertionError):
    """The message says nothing that could be done."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """Somebody with kubectl, a few files, and one organization that is not Ready.

    Attributes:
        bundle: PEM certificates, where some are asked for.
        client: A certificate to be known by, and its key, where some are asked for.
        host_file: The platform team's settings, where these are.
    """

    world: worlds.World
    namespace: str
    bundle: pathlib.Path
    host_file: pathlib.Path
    client: certs.Leaf | None = None

    def mend(self) -> list[str]:
        """Do what the status says until it says Ready, and return the reasons that were met on the way."""
        met: list[str] = []
        told = ""
        for _ in range(_MOST_STEPS):
            ready = self._until_it_says_another_thing(told)
            if ready["status"] == "True":
                return met
            told = ready["message"]
            for position, fault in enumerate(_ALSO.split(told)):
                found = _FAULT.match(fault)
                assert found is not None
                met.append(found["reason"] if position else ready["reason"])
                self._follow(fault, found["field"] or "")
        raise AssertionError(f"{self.namespace} is not mended after {met}: {told}")

    def _until_it_says_another_thing(self, told: str) -> Json:
        def news() -> Json | None:
            found = self.world.get("oes", "default", self.namespace) or {}
            for condition in found.get("status", {}).get("conditions", []):
                is_news = condition["status"] == "True" or condition["message"] != told
                is_current = condition["observedGeneration"] == found["metadata"]["generation"]
                if condition["type"] == "Ready" and is_news and is_current:
                    return typing.cast("Json", condition)
            return None

        why = f"{self.namespace} says something else than: {told!r}"
        found = wait.until(news, within_seconds=_WITHIN_SECONDS, why=why, poll_seconds=1.0)
        assert found is not None
        return found

    def _follow(self, fault: str, field: str) -> None:
        """Do what one sentence says of a field."""
        if "mend the other fault first" in fault:
            return
        if commands := _COMMAND.findall(fault):
            for command in commands:
                self._run(command)
            return
        for pattern, act in _WORDS:
            if match := pattern.search(fault):
                act(self, field, match)
                return
        raise NoRemedyError(fault)

    def _run(self, command: str) -> None:
        done = self.world.cluster.kubectl(*(self._fill_in(word) for word in shlex.split(command)), check=False)
        # A status may be a few seconds behind what was done about it.
        assert done.returncode == 0 or "already exists" in done.stderr, (command, done.stderr)

    def _fill_in(self, word: str) -> str:
        for placeholder in ("PASSWORD", "CLIENT_SECRET", "REFRESH_TOKEN"):
            word = word.replace(placeholder, "correct horse")
        files = {"--cert": self.client.cert_path, "--key": self.client.key_path} if self.client else {}
        name, is_file, _ = word.partition("=FILE")
        return f"{name}={files.get(name, self.bundle)}" if is_file else word

    def _set(self, field: str, value: object) -> None:
        for name in reversed(field.split(".")):
            value = {name: value}
        arguments = ("patch", "oes", "default", "-n", self.namespace, "--type=merge", "-p", json.dumps(value))
        self.world.cluster.kubectl(*arguments)

    # The readers of words; each has what it read as its last argument.

    def _apply_host(self, _field: str, _match: re.Match[str]) -> None:
        self.world.cluster.kubectl("apply", "-f", str(self.host_file))

    def _remove(self, field: str, match: re.Match[str]) -> None:
        for what in match["what"].split(" and "):
            self._set(field if what == "it" else what, None)
        if others := re.search(r"the same holds for ([\w., ]+)\.", match.string):
            for other in others[1].split(", "):
                self._set(other, None)

    def _drop_certificate(self, _field: str, match: re.Match[str]) -> None:
        namespace, name, key = match["namespace"], match["name"], match["key"]
        found = self.world.get("configmap", name, namespace)
        assert found is not None
        blocks = _BLOCK.findall(found["data"][key])
        del blocks[int(match["position"]) - 1]
        patch = json.dumps({"data": {key: "".join(blocks)}})
        self.world.cluster.kubectl("patch", "configmap", name, "-n", namespace, "--type=merge", "-p", patch)

    def _use_listed(self, field: str, match: re.Match[str]) -> None:
        self._set(field, next(entry for entry in match["allowed"].split(", ") if not entry.startswith("@")))

    def _name_recipients(self, field: str, match: re.Match[str]) -> None:
        self._set(field, [f"ops@{match['domains'].split(', ')[0]}"])

    def _use_port(self, field: str, match: re.Match[str]) -> None:
        found = self.world.get("oes", "default", self.namespace) or {}
        value = found
        for name in field.split("."):
            value = value[name]
        self._set(field, re.sub(r":\d+", f":{match['port']}", str(value)))

    def _authenticate(self, _field: str, _match: re.Match[str]) -> None:
        self._set("spec.auth", {"mechanism": None, "username": "team", "passwordSecretRef": {"name": "smtp"}})

    def _set_known(self, field: str, _match: re.Match[str]) -> None:
        self._set(field, _KNOWN[field])


_Act = collections.abc.Callable[[Stranger, str, re.Match[str]], None]

_WORDS: tuple[tuple[re.Pattern[str], _Act], ...] = (
    (re.compile(r"have the platform team apply one"), Stranger._apply_host),
    (
        re.compile(
            r"ConfigMap (?P<namespace>[\w-]+)/(?P<name>[\w-]+), key (?P<key>[\w.]+): certificate (?P<position>\d+)"
            r" of the bundle cannot be read \([^)]*\); remove"
        ),
        Stranger._drop_certificate,
    ),
    (re.compile(r"[;,] (?:or )?remove (?P<what>it|spec\.[\w.]+(?: and spec\.[\w.]+)*)\b"), Stranger._remove),
    (re.compile(r"allowed are (?P<allowed>[^;]+); use one of these"), Stranger._use_listed),
    (re.compile(r"allows recipients in (?P<domains>[^;]+); name such recipients"), Stranger._name_recipients),
    (re.compile(r"allowed: servers with public addresses on port (?P<port>\d+); name such"), Stranger._use_port),
    (re.compile(r"set username and passwordSecretRef"), Stranger._authenticate),
    (re.compile(r"; (?:set it here|correct the address)"), Stranger._set_known),
)
