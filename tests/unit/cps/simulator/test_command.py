from cps.simulator.command import Command, CommandRefusedError


def test_a_command_never_shows_its_data() -> None:
    command = Command(ins=0x20, p1=0x00, p2=0x01, data=b"1234", ne=256)

    assert "1234" not in repr(command)
    assert b"1234".hex() not in repr(command)
    assert "4 bytes" in repr(command)


def test_a_refusal_carries_its_status_word() -> None:
    error = CommandRefusedError(0x6A82)

    assert error.sw == 0x6A82
    assert str(error) == "6A82"
