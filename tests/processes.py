"""Commands in processes of their own, also to be killed."""

import subprocess
import sys
import time


def start(module, *argv):
    """Starts ``python -m module`` with these arguments."""
    command = [sys.executable, "-m", module, *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    """Waits for the end of a process: exit status, standard output and error."""
    out, err = process.communicate()
    return process.returncode, out, err


def wait_for(process, path, lines=0):
    """Waits until a running process has written a file that stays, or so many lines of it."""
    for _ in range(3600):
        if path.exists() and (not lines or path.read_text().count("\n") >= lines):
            return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    raise AssertionError(f"{path} was not written")
