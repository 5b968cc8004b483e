"""A process that publishes open batches of a bus until it is killed or none is left: `batch_race.py BUS NAMESPACE`."""

from __future__ import annotations

import sys

from flowlord.bus.clock import SystemClock
from flowlord.bus.open import open_bus
from flowlord.taskmaster.batches import Batches
from flowlord.taskmaster.chance import Chance, Stamps
from flowlord.taskmaster.surroundings import Surroundings


def main(address: str, namespace: str) -> None:
    bus = open_bus(address, by="racer", namespace=namespace, accept_loss=True)
    clock, chance = SystemClock(), Chance()
    batches = Batches(Surroundings(bus, clock, chance, Stamps(clock, chance.digit()), "racer"))
    while bus.marks_like("batch:"):
        batches.step()
    bus.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
