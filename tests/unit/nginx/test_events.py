"""Events of the gate's main thread: in their order, whether or not they wake it up."""

from functools import partial

from nginx.gate.events import Events

LONG_S = 600.0


def test_an_event_that_can_wait_comes_with_the_next_that_cannot_in_their_order() -> None:
    events, first, second = Events(), partial(print, "first"), partial(print, "second")
    events.put(first, soon=False)
    events.put(second)
    events.put(None)
    assert events.gather(LONG_S) == [first, second, None]
    events.put(first, soon=False)
    assert events.gather(0) == [first]
    assert events.gather(0) == []
