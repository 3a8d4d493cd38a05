"""The actions: an order or an id to who takes orders, and what comes back to an answer."""

from slicer.api.audio import judge_audio
from slicer.api.fields import Values
from slicer.api.live import read_live_order
from slicer.api.requests import read_lists, read_order
from slicer.api.schema import Action, Verb
from slicer.engine.task_status import TaskStatus
from slicer.service.order import Application, OrderTaker, Product
from slicer.slicing.outputs import State
from slicer.slicing.subscription import Subscription

Answer = dict[str, object]


async def carry_out(
    action: Action,
    app: Application,
    values: Values,
    orders: OrderTaker,
    now: float,
    supplier: str,
) -> Answer:
    """Do it. *now* is UTC in seconds; *supplier* judges where a request names none. Raises
    SlicerError."""
    if action.verb is Verb.CREATE:
        if action.product is Product.LIVE:
            order = read_live_order(values, supplier)
        else:
            order = read_order(app, action.product, values, now)
        task = await orders.create(app, order)
        return {"TaskId": task} | _whip_url(orders, task)
    if action.verb is Verb.JUDGE:
        return await judge_audio(values, orders, supplier)
    task = values.text("TaskId")
    if action.verb is Verb.DESCRIBE:
        status = await orders.describe(app, action.product, task)
        return _status(status, action.product) | _whip_url(orders, task)
    if action.verb is Verb.DELETE:
        await orders.delete(app, action.product, task)
    elif "SubscribeStreamUserIds" in values:
        await orders.modify(app, action.product, task, read_lists(values))
    else:
        # Nothing to change; the task must be there all the same.
        await orders.describe(app, action.product, task)
    return {"TaskId": task}


def _status(status: TaskStatus, product: Product) -> Answer:
    answer: Answer = {"TaskId": status.task, "Status": _word(status)}
    if product is Product.MODERATION:
        answer["SubscribeStreamUserIds"] = _lists(status.subscription)
    return answer


def _whip_url(orders: OrderTaker, task: str) -> Answer:
    """A field that TRTC's answers do not have, in a fleet alone."""
    url = orders.whip_url(task)
    return {"WhipUrl": url} if url else {}


def _word(status: TaskStatus) -> str:
    if status.state is State.ENDED:
        return "Exited"
    return "InProgress" if status.tracks else "Idle"


def _lists(lists: Subscription) -> dict[str, list[str]]:
    return {
        "SubscribeAudioUserIds": lists.audio.allow.entries(),
        "UnSubscribeAudioUserIds": lists.audio.block.entries(),
        "SubscribeVideoUserIds": lists.video.allow.entries(),
        "UnSubscribeVideoUserIds": lists.video.block.entries(),
    }
