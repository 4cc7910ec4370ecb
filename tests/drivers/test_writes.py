"""How often registers are written."""

from drivers.writes import DAY_MS, WriteBook


def test_volatile_registers_are_counted_without_a_limit() -> None:
    book = WriteBook()
    for _ in range(3):
        book.count("set", None, 0)
    assert book.total == {"set": 3}
    assert book.left("set", None, 0) is None


def test_a_budget_is_spent_and_comes_back_after_a_day() -> None:
    book = WriteBook()
    assert book.left("mode", 2, 0) == 2
    book.count("mode", 2, 0)
    book.count("mode", 2, 1_000)
    assert book.left("mode", 2, 1_000) == 0
    assert book.left("mode", 2, DAY_MS) == 1
    assert book.left("mode", 2, DAY_MS + 1_000) == 2
    assert book.total == {"mode": 2}


def test_a_write_beyond_the_budget_is_counted_too() -> None:
    book = WriteBook()
    for at_ms in range(5):
        book.count("mode", 2, at_ms)
    assert book.left("mode", 2, 5) == 0
    assert book.total == {"mode": 5}
