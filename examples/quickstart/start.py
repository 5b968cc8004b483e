"""The quick start, as `make run` calls it: runs the chain of workflows/planets.toml and shows what came of it.

    python examples/quickstart/start.py           stays up until Ctrl-C, so that you can look around
    python examples/quickstart/start.py --once    ends by itself: 0 when the chain is complete

Everything is done by commands of flowlord that you can type yourself; they are shown as they run.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FLOWLORD = [sys.executable, "-m", "flowlord"]
# A shell's settings for another flowlord must not lead this one to another bus.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("FLOWLORD_")}
ENVIRONMENT["PYTHONUNBUFFERED"] = "1"

DAEMON = [
    "run", "workflows/",
    "--worker", "catalog=sh steps/catalog.sh {info}",
    "--worker", f"report={shlex.quote(sys.executable)} steps/report.py {{info}}",
    "--app", "steps.orbit",
]  # fmt: skip
CHAIN = ["send", "catalog", "data/planets.csv", "--wait", "--children", "--timeout", "60s"]
ENDS_IN_S = 30.0


def main() -> int:
    """Run the quick start; returns the exit code."""
    parser = argparse.ArgumentParser(description="flowlord's quick start")
    parser.add_argument("--once", action="store_true", help="end by itself when the chain is done")
    once = parser.parse_args().once
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    forget_old_results()
    daemon = start(DAEMON)
    try:
        code = wait_for_chain(daemon)
        if code:
            say(f"the chain did not complete (exit {code}); the log above tells why")
        else:
            show_results()
        if not once and daemon.poll() is None:
            show_next_steps()
            daemon.wait()
            return daemon.returncode
        return code
    except KeyboardInterrupt:
        return 0 if daemon.poll() is None else 1
    finally:
        end(daemon)


def start(arguments: list[str]) -> subprocess.Popen:
    """Show a command and start it. The daemon gets a group of its own: Ctrl-C reaches it once, through `end`."""
    shown = [Path(sys.executable).name if word == sys.executable else word for word in arguments]
    shown = [word.replace(shlex.quote(sys.executable), "python") for word in shown]
    say("$ flowlord " + shlex.join(shown))
    return subprocess.Popen(
        [*FLOWLORD, *arguments], cwd=HERE, env=ENVIRONMENT, start_new_session=arguments is DAEMON
    )


def wait_for_chain(daemon: subprocess.Popen) -> int:
    """Send the first task and wait for all that follows; returns how that ended."""
    sent = start(CHAIN)
    try:
        while True:
            try:
                return sent.wait(0.2)
            except subprocess.TimeoutExpired:
                if daemon.poll() is not None:
                    return daemon.returncode or 1
    finally:
        if sent.poll() is None:
            sent.terminate()
            sent.wait()


def show_results() -> None:
    """Print the report and what flowlord remembers."""
    say((HERE / "out" / "report.txt").read_text("utf-8"))
    start(["tasks", *([] if sys.stdout.isatty() else ["-o", "table"])]).wait()


def show_next_steps() -> None:
    """Tell how to look around while the daemon is up."""
    here = os.path.relpath(HERE)
    activate = Path(os.path.relpath(sys.prefix, HERE)) / "bin" / "activate"
    say(
        f"""
flowlord is up; Ctrl-C ends it. Look around from another terminal:

  cd {shlex.quote(here)} && . {shlex.quote(str(activate))}
  flowlord tasks --topic orbit            # Mars took two tries
  flowlord task @last                     # one task's story
  flowlord topics                         # what waits where
  flowlord send catalog data/planets.csv  # once more
  xdg-open out/report.svg                 # the picture
"""
    )


def end(daemon: subprocess.Popen) -> None:
    """Ask the daemon to finish; asked again, it leaves at once."""
    while daemon.poll() is None:
        try:
            daemon.terminate()
            daemon.wait(ENDS_IN_S)
        except KeyboardInterrupt:
            continue
        except subprocess.TimeoutExpired:
            daemon.kill()


def forget_old_results() -> None:
    """Results of an earlier quick start would make this one's report look complete too soon."""
    for old in (HERE / "out").glob("[!.]*"):
        old.unlink()


def interrupt(number: int, frame: object) -> None:
    """A closed terminal and SIGTERM end the quick start as Ctrl-C does."""
    raise KeyboardInterrupt


def say(text: str) -> None:
    """Print at once: other processes write to the same terminal."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
