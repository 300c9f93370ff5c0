# SPDX-License-Identifier: Apache-2.0
"""Whether those who follow an element ever say more of themselves than is so."""

import http.client
import json
import struct
import threading
import time


AWAY = (OSError, http.client.HTTPException)


class Head:
    """Where an element is, and how many files it has there."""

    def __init__(self, frame):
        kind, _, epoch, seq, digest, self.count = struct.unpack_from(">cIQQ16sQ", frame)
        if kind != b"H":
            raise AssertionError(f"no head: {frame!r}")
        self.epoch, self.seq = "%016x" % epoch, seq
        self.position = f"{self.epoch}/{seq}/{digest.hex()}"


class Witness:
    """Looks all the time at what an element has and at what each of `followers` says, each of which
    is a function that sends GET to a query role and gives the JSON of a 200, else nothing. In the
    end it fails when one of them was in step, by its word, and was not:

    - with a position that was not the element's within the time for which an answer of the element
      vouches, or, with `fresh`, not since the witness is there;
    - with another number of files than the element had at that position.
    """
    VOUCHES = 12  # FollowSettings::patience and kAnswerMost, and some time on the way
    PACE = 0.03  # seconds between two looks
    SAYS_SO = 15  # seconds that may lie between a commit and the word of it, on a busy machine

    def __init__(self, demo, followers, element="se-01", fresh=False):
        self.demo, self.followers, self.element = demo, followers, element
        self.fresh = fresh
        self.heads, self.claims, self.denials = [], [], 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def __enter__(self):
        self.look_at_element()
        self.entered = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.ended.set()
        self.thread.join()
        self.look_at_element()
        if kind is None:
            self.judge()

    def look(self):
        while not self.ended.is_set():
            self.look_at_element()
            for name, ask in self.followers.items():
                self.look_at_follower(name, ask)
            self.ended.wait(self.PACE)

    def look_at_element(self):
        try:
            status, _, body = self.demo.ask("GET", self.element, "/api/v1/log/head")
        except AWAY:
            return
        if status == 200:
            self.heads.append((time.monotonic(), Head(body)))

    def status_of(self, ask):
        try:
            whole = ask("/api/v1/admin/sync/status") or {"elements": []}
        except AWAY:
            return {}
        return next((one for one in whole["elements"]
                     if one["storage_element_id"] == self.element), {})

    def look_at_follower(self, name, ask):
        began = time.monotonic()
        status = self.status_of(ask)
        if not status.get("in_step"):
            self.denials += 1
            return
        position = status["position"]
        total = self.files_at(ask, position)
        end = began + self.SAYS_SO
        while total is not None and total not in self.counts_at(position, total):
            # It has committed a change and is about to say so, or else has not told the truth.
            if time.monotonic() > end:
                break
            self.look_at_element()  # nobody else does, and what it does not see, lie_in() excuses
            time.sleep(self.PACE)
            total = self.files_at(ask, position)
        self.claims.append((began, name, position, total))

    def files_at(self, ask, position):
        """How many it finds while it is in step there; nothing when it has moved meanwhile."""
        try:
            found = ask(f"/api/v1/files/search?limit=1&storage_element_id={self.element}")
        except AWAY:
            return None
        after = self.status_of(ask)
        stays = found and after.get("in_step") and after["position"] == position
        return found["total"] if stays else None

    def counts_at(self, position, usual):
        return {head.count for _, head in self.heads if head.position == position} or {usual}

    def judge(self):
        lies = [lie for claim in self.claims if (lie := self.lie_in(*claim))]
        if lies:
            raise AssertionError(f"{len(lies)} of {len(self.claims)} times it was in step and was "
                                 "not: " + json.dumps(lies[:5]))

    def lie_in(self, began, name, position, total):
        """What is wrong with it; nothing when it may have been so."""
        since = began - self.VOUCHES
        if self.fresh:
            since = max(since, self.entered)
        before = [at for at, (when, _) in enumerate(self.heads) if when <= since]
        heads = [head for _, head in self.heads[before[-1] if before else 0:]]
        said = {"follower": name, "position": position, "files": total,
                "seconds": round(began - self.entered, 3)}
        same = [head for head in heads if head.position == position]
        if same:
            counts = {head.count for head in same}
            return None if total is None or total in counts else {**said, "had": sorted(counts)}
        epoch, seq = position.split("/")[:2]
        if any(one.epoch == epoch == other.epoch and one.seq < int(seq) < other.seq
               for one, other in zip(heads, heads[1:])):
            return None  # nobody looked just then
        return {**said, "heads": [head.position for head in heads[:3]]}
