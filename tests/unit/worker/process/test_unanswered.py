"""Notes of requests that have no answer yet, in memory that processes share."""

from worker.process.unanswered import MAX_BYTES, Notes

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_what_was_left_is_named_once_with_what_is_known_of_it() -> None:
    notes = Notes()
    first = notes.enter("one", "POST", "/predict", PARENT)
    notes.enter("two", "PUT", "/models/ä", "")
    notes.leave(first)
    notes.enter("three", "POST", "/predict", PARENT)
    found = notes.take()
    assert [one.fields for one in found] == [
        {"request_id": "two", "method": "PUT", "path": "/models/ä"},
        {"request_id": "three", "method": "POST", "path": "/predict", "traceparent": PARENT},
    ]
    assert found[0].started <= found[1].started
    assert notes.take() == []


def test_a_long_path_is_cut_and_its_request_still_named() -> None:
    notes = Notes()
    notes.enter("long", "POST", "/" + "ä" * 500, PARENT)
    (found,) = notes.take()
    assert found.fields["request_id"] == "long"
    assert len("\t".join(found.fields.values()).encode()) <= MAX_BYTES + 2  # half of a character becomes a mark


def test_places_are_used_again_and_what_finds_none_is_not_noted() -> None:
    notes = Notes(places=2)
    places = [notes.enter(name, "POST", "/", "") for name in ("a", "b", "c")]
    assert places[2] == -1
    for place in places:
        notes.leave(place)
    assert notes.take() == []
    assert [notes.enter(name, "POST", "/", "") >= 0 for name in ("d", "e")] == [True, True]
