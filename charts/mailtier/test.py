"""What `helm test` runs: an application's way to the intake, from its name in DNS to the API server behind it."""

import json
import os
import pathlib
import ssl
import time
import urllib.error
import urllib.request

INTAKE = os.environ["INTAKE_URL"]
AUTHORITY = pathlib.Path(os.environ["CA_FILE"])
TOKEN = pathlib.Path(os.environ["TOKEN_FILE"])
ORGANIZATION = os.environ["NAMESPACE"] + "/organizations/default"
SECONDS = float(os.environ.get("SECONDS_TO_TRY", "90"))


def answer(path, token=""):
    """Return the status and the body of an answer, with the certificate verified."""
    # Where nobody publishes an authority, the certificate is one that everybody trusts.
    context = ssl.create_default_context(cafile=str(AUTHORITY) if AUTHORITY.exists() else None)
    request = urllib.request.Request(INTAKE + path, headers={"Authorization": "Bearer " + token} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def described():
    """Return what is wrong with the way to the intake; "" where it is well."""
    status, body = answer("/openapi.json")
    return "" if status == 200 and "openapi" in json.loads(body) else f"/openapi.json is answered with {status}"


def known():
    """Return what is wrong with asking the API server who a caller is; "" where it is well."""
    path = f"/v1/namespaces/{ORGANIZATION}/notifications/00000000-0000-0000-0000-000000000000"
    status, body = answer(path, TOKEN.read_text().strip())
    # Whom the API server knows is told that he may not, or that there is no such notification.
    return "" if status in {403, 404} else f"a caller with a token gets {status}: {body.decode(errors='replace')[:500]}"


def within(seconds, check):
    """Return what a check says at last; it is made again for a while, as what was installed just now may start yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = check()
        except (OSError, ValueError) as error:
            found = f"{INTAKE}: {error}"
        if not found or time.monotonic() >= deadline:
            return found
        time.sleep(2)


for name, check in (("the intake answers, and its certificate is verified", described), ("callers are known", known)):
    wrong = within(SECONDS, check)
    print(f"failed: {name}: {wrong}" if wrong else f"well: {name}")
    if wrong:
        raise SystemExit(1)
