"""The signature of a callback: TRTC's known answer."""

from slicer.webhooks.sign import sign

BODY = (
    '{\n\t"EventGroupId":\t2,\n\t"EventType":\t204,\n\t"CallbackTs":\t1664209748188,\n'
    '\t"EventInfo":\t{\n\t\t"RoomId":\t8489,\n\t\t"EventTs":\t1664209748,\n'
    '\t\t"EventMsTs":\t1664209748180,\n\t\t"UserId":\t"user_85034614",\n\t\t"Reason":\t0\n\t}\n}'
)


def test_known_answer() -> None:
    assert sign("123654", BODY.encode()) == "kkoFeO3Oh2ZHnjtg8tEAQhtXK16/KI05W3BQff8IvGA="


def test_every_byte_counts() -> None:
    assert sign("123654", BODY.replace("\t", " ").encode()) != sign("123654", BODY.encode())
    assert sign("123655", BODY.encode()) != sign("123654", BODY.encode())
