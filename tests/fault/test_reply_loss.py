"""Answers of Redis are lost on the way: whatever a caller was told, nothing is lost, doubled or done by half."""

import os
import random

import pytest

from fault.loss_rig import VERBS, Rig
from flowlord.bus import redis_core
from support.lossy_proxy import USUAL, Fault, LossyProxy
from support.redis_servers import drop_namespace, fresh_namespace, shared_server

SEED = os.environ.get("FLOWLORD_TEST_SEED", "20260101")
ENOUGH = int(os.environ.get("FLOWLORD_TEST_LOST", "100"))
"""Lost answers of each verb."""
MOST = 400 * ENOUGH
"""Operations in all, at most."""


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_each_verb_stands_a_hundred_lost_answers(monkeypatch):
    monkeypatch.setattr(redis_core, "PAUSE_S", 0.0)  # before the same is sent again
    server, namespace = shared_server("redis"), fresh_namespace()
    chance = random.Random(SEED)
    with LossyProxy(server.port, seed=int(SEED)) as proxy:
        rig = Rig(proxy, server.url, namespace, SEED)
        operations = 0
        wanted = list(VERBS)
        while wanted:
            rig.act(chance.choice(wanted))
            operations += 1
            wanted = [verb for verb in wanted if proxy.lost(verb) < ENOUGH]
            assert operations < MOST, f"too few answers are lost: {[(v, proxy.lost(v)) for v in VERBS]}"
        rig.settle()
        rig.close()
        faults = {fault for _, fault in proxy.done}
        assert faults == set(USUAL)
        # Verbs that no caller may be left in doubt about were sent again by the bus itself; all others said so.
        assert {verb for verb, count in rig.failures.items() if count} >= {*VERBS} - {
            "commit_many",
            "publish",
        }
        print(f"{operations} operations, {proxy.exchanges} exchanges, {sum(proxy.done.values())} spoilt")
    drop_namespace(namespace, [server])


@pytest.mark.fault
def test_a_server_that_says_nothing_is_given_up_and_its_work_is_known_afterwards():
    server, namespace = shared_server("redis"), fresh_namespace()
    with LossyProxy(server.port) as proxy:
        rig = Rig(proxy, server.url, namespace, SEED)
        rig.bus.close()
        rig.bus = type(rig.bus)(f"{proxy.url}?timeout=0.2", by="lossy", clock=rig.clock, namespace=namespace)
        for verb in ("publish", "claim", "commit_many", "release", "reclaim", "promote", "cancel"):
            for _ in range(2):
                proxy.doom(Fault.SILENT)
                rig.act(verb)
        assert proxy.lost("publish") >= 2, "an answer that comes in pieces counts for each"
        rig.settle()
        rig.close()
    drop_namespace(namespace, [server])
