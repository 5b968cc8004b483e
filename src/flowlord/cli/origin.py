"""Which workflow a task that is sent belongs to: the one whose children follow and whose phase tells the retries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from flowlord.bus.port import Bus
from flowlord.cli import printer
from flowlord.decide.ask import Ask, workflows_with
from flowlord.model.workflow import Workflows
from flowlord.storage.address import is_remote


@dataclass(frozen=True, slots=True)
class Known:
    """The workflows at hand, and the names of files that are broken and never worked."""

    flows: Workflows = field(default_factory=Workflows)
    broken: tuple[str, ...] = ()


def load_known(path: str, bus: Callable[[], Bus]) -> Known:
    """Return the workflows at `path`; a file that is broken now counts as it last worked, as in the daemon."""
    if not path or (not is_remote(path) and not Path(path).exists()):
        return Known()
    from flowlord.cli.places import place_at
    from flowlord.spec.load import load

    try:
        loaded = load(place_at(path))
    except OSError as error:
        if not is_remote(path):
            raise
        printer.say(f"note: {path} cannot be read, so nobody knows whose phase this is: {error}")
        return Known()
    if not loaded.broken:
        return Known(loaded.workflows)
    from flowlord.taskmaster.reload import last_good

    kept = {flow.name: flow for flow in last_good(bus(), loaded.broken)}
    for name in loaded.broken:
        version = "its last good version counts" if name in kept else "it is left out"
        printer.say(f"note: {name} is broken, {version}: flowlord validate {path}")
    flows = Workflows({**loaded.workflows.by_name, **kept})
    return Known(flows, tuple(name for name in loaded.broken if name not in kept))


def with_workflow(ask: Ask, asked: str, known: Known) -> Ask:
    """Fill in the workflow whose children follow, when exactly one has the phase; say so.

    Raises:
        LookupError: the workflow that was asked for is none, or has no such phase; with a hint.
    """
    flows = known.flows
    name = f"{ask.topic}:{ask.job}" if ask.job else ask.topic
    if asked in known.broken:
        raise LookupError(f"the workflow {asked} is broken", "flowlord validate tells what is wrong with it")
    if asked:
        if asked not in flows.by_name:
            names = ", ".join(sorted(flows.by_name)) or "none"
            raise LookupError(
                f"there is no workflow {asked}",
                f"loaded workflows: {names}; --workflows PATH names the folder",
            )
        if flows.phase_of(asked, ask.topic, ask.job) is None:
            raise LookupError(f"{asked} has no phase {name}", "flowlord validate lists what a file holds")
        return ask
    found = workflows_with(ask, flows)
    if len(found) == 1:
        follow = "; its children follow" if flows.children(found[0], ask.topic, ask.job) else ""
        printer.say(f"note: {name} is a phase of {found[0]}{follow}", once=True)
        return replace(ask, workflow=found[0])
    if found:
        printer.say(
            f"note: {', '.join(found)} all have a phase {name}; no children follow without --workflow",
            once=True,
        )
    elif flows.by_name:
        printer.say(
            f"note: no workflow has a phase {name}; no children follow, a failure is not retried", once=True
        )
    return ask
