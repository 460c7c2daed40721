"""What one request costs, client and application together, in one process.

CPU time of the whole process, threads included: waiting costs nothing here.
"""

import asyncio
import gc
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from benchmarks.apps import (
    ANSWER,
    ASYNC_ENDPOINT,
    BARE_GET,
    BARE_POST,
    SYNC_ENDPOINT,
    Call,
    Message,
    build_calls,
)
from benchmarks.clients import (
    DIRECT,
    ENTERED_TEST_CLIENT,
    HTTPX2,
    OUR_ENTERED_TEST_CLIENT,
    OUR_TEST_CLIENT,
    OURS,
    TEST_CLIENT,
    AsyncPeer,
    Peer,
    SendAsync,
    SendSync,
    SyncPeer,
    WrongAnswerError,
    list_installed_peers,
)
from benchmarks.processes import Workspace
from benchmarks.results import Column, Result, Table, Target, Verdict
from benchmarks.rounds import Plan, Samples, Spread, differences, measure_interleaved, ratios

FULL = Plan(rounds=5, size=500)
QUICK = Plan(rounds=3, size=200)

_COST = Column("us per request", 1)
_EXTRA = Column("us over the direct call", 1)
_SHARE = Column("of httpx2's", 2)
_OF_DIRECT = Column("of the direct call", 2)
_WARM_UP, _CHECKED = 20, 5


@dataclass(frozen=True)
class _Limit:
    """What a client of ours may cost beside another."""

    call: str
    ours: Peer
    other: Peer
    target: Target
    is_difference: bool = False  # in microseconds; else a ratio

    def judge(self, samples: Samples) -> Verdict:
        ours = samples[_sample_name(self.call, self.ours)]
        other = samples[_sample_name(self.call, self.other)]
        if self.is_difference:
            relation, measured = "us over", Spread.of(differences(ours, other)).scaled(1e6)
        else:
            relation, measured = "share of", Spread.of(ratios(ours, other))
        subject = f"{self.call}, {self.ours.name}, {relation} {self.other.name}"
        return Verdict(subject, measured.median, self.target)


_LIMITS = (
    _Limit(ASYNC_ENDPOINT, OURS, DIRECT, Target(1.2)),
    _Limit(BARE_GET, OURS, DIRECT, Target(3), is_difference=True),
    _Limit(BARE_POST, OURS, DIRECT, Target(6), is_difference=True),
    _Limit(ASYNC_ENDPOINT, OUR_TEST_CLIENT, TEST_CLIENT, Target(1 / 15)),
    _Limit(ASYNC_ENDPOINT, OUR_ENTERED_TEST_CLIENT, ENTERED_TEST_CLIENT, Target(1 / 15)),
    _Limit(SYNC_ENDPOINT, OUR_TEST_CLIENT, TEST_CLIENT, Target(1 / 5)),
    _Limit(SYNC_ENDPOINT, OUR_ENTERED_TEST_CLIENT, ENTERED_TEST_CLIENT, Target(1 / 5)),
)


def run(plan: Plan, workspace: Workspace) -> Result:
    """Send the same requests with every client."""
    calls, peers = build_calls(), list_installed_peers()
    for call in calls:
        for peer in peers:
            _insist_on_calling(call, peer)
    samples = measure_interleaved(
        {
            _sample_name(call.title, peer): partial(_seconds_per_request, call, peer, plan.size)
            for call in calls
            for peer in peers
        },
        rounds=plan.rounds,
    )
    tables = [_tabulate(call, peers, samples) for call in calls]
    return Result(tables, samples, [*_judge(peers, samples)])


def _judge(peers: Sequence[Peer], samples: Samples) -> Iterator[Verdict]:
    for limit in _LIMITS:
        if limit.ours in peers and limit.other in peers:
            yield limit.judge(samples)


def _insist_on_calling(call: Call, peer: Peer) -> None:
    """Refuse to measure a client that answers without asking the application."""
    requests = 0

    async def count_requests(scope: Message, receive: Any, send: Any) -> None:
        nonlocal requests
        requests += scope["type"] == "http"
        await call.app(scope, receive, send)

    _seconds_per_request(replace(call, app=count_requests), peer, _CHECKED)
    if requests != _WARM_UP + _CHECKED:
        raise WrongAnswerError(f"{peer.name} called the app {requests} times: {call.title}")


def _sample_name(title: str, peer: Peer) -> str:
    return f"{title}: {peer.name}"


def _seconds_per_request(call: Call, peer: Peer, requests: int) -> float:
    match peer:
        case AsyncPeer():
            return asyncio.run(_time_async(call, peer, requests)) / requests
        case SyncPeer():
            return _time_sync(call, peer, requests) / requests


async def _time_async(call: Call, peer: AsyncPeer, requests: int) -> float:
    async with peer.open(call) as send:
        await _repeat_async(send, _WARM_UP)
        gc.collect()
        start = time.process_time()
        await _repeat_async(send, requests)
        return time.process_time() - start


def _time_sync(call: Call, peer: SyncPeer, requests: int) -> float:
    with peer.open(call) as send:
        _repeat_sync(send, _WARM_UP)
        gc.collect()
        start = time.process_time()
        _repeat_sync(send, requests)
        return time.process_time() - start


async def _repeat_async(send: SendAsync, times: int) -> None:
    for _ in range(times):
        _expect_answer(await send())


def _repeat_sync(send: SendSync, times: int) -> None:
    for _ in range(times):
        _expect_answer(send())


def _expect_answer(answer: object) -> None:
    if answer != ANSWER:
        raise WrongAnswerError(f"The app answered {ANSWER!r}, the client brought {answer!r}.")


def _tabulate(call: Call, peers: Sequence[Peer], samples: Samples) -> Table:
    direct = samples[_sample_name(call.title, DIRECT)]
    httpx2 = samples[_sample_name(call.title, HTTPX2)]
    rows = {}
    for peer in peers:
        cost = samples[_sample_name(call.title, peer)]
        rows[peer.name] = {_COST.title: Spread.of(cost).scaled(1e6)}
        if peer is not DIRECT:
            rows[peer.name][_EXTRA.title] = Spread.of(differences(cost, direct)).scaled(1e6)
            rows[peer.name][_OF_DIRECT.title] = Spread.of(ratios(cost, direct))
            rows[peer.name][_SHARE.title] = Spread.of(ratios(cost, httpx2))
    return Table(call.title, (_COST, _EXTRA, _OF_DIRECT, _SHARE), rows)
