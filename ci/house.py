"""What the checks of this folder share: the files of the project, their text without comments, and how a finding is told.

A check prints each finding as "file:line: what", at its end what to do about it, and "N passed, N failed, N skipped". Exit status: 0, 1, or 77
when it could not run here, with the reason as the last line.
"""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.chdir(ROOT)


def files(*patterns):
    """The project's files whose path matches one of the regular expressions: what git knows, or, without git, what lies there."""
    try:
        known = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True, check=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        known = []
        for folder, inner, names in os.walk("."):
            inner[:] = [d for d in inner if d not in (".git", "build")]
            known += [os.path.normpath(os.path.join(folder, n)) for n in names]
    wanted = [re.compile(p) for p in patterns]
    return sorted(f for f in set(known) if os.path.isfile(f) and any(w.fullmatch(f) for w in wanted))


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def code(text, strings=False):
    """C without comments (and string contents, if so wished); every line keeps its number."""
    def blank(match):
        found = match.group(0)
        if found.startswith("/"):
            return re.sub(r"[^\n]", " ", found)
        return '""' if strings and found.startswith('"') else found
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


class Check:
    def __init__(self, advice):
        self.advice = advice
        self.good = 0
        self.found = []

    def ok(self, count=1):
        self.good += count

    def bad(self, path, line, what):
        self.found.append((path, line, what))

    def want(self, holds, path, line, what):
        if holds:
            self.ok()
        else:
            self.bad(path, line, what)

    def end(self):
        for path, line, what in self.found:
            print(f"{path}:{line}: {what}" if line else f"{path}: {what}")
        if self.found:
            print(f"What to do: {self.advice}")
        if not self.good and not self.found:
            print("nothing was looked at: that is a failure")
            self.found.append(None)
        print(f"{self.good} passed, {len(self.found)} failed, 0 skipped")
        sys.exit(1 if self.found else 0)


def skip(reason):
    print("0 passed, 0 failed, 1 skipped")
    print(reason)
    sys.exit(77)
