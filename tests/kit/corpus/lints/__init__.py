"""For each lint, settings in which it finds something, and settings that look alike and are right."""

from kit.corpus.lints import connections, contents

CASES = (*connections.CASES, *contents.CASES)
