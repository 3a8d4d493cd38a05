#include "transport_reporter.h"

#include "transport_feedback.h"

#define TRANSPORT_INTERVAL 0.09

void transport_reporter_init(transport_reporter *it, uint32_t ssrc, counters *counters) {
    *it = (transport_reporter){.counters = counters, .ssrc = ssrc, .arrivals_at = NEVER};
}

void transport_reporter_free(transport_reporter *it) {
    free(it->arrivals);
    it->arrivals = NULL;
    it->arrival_count = 0;
}

/* They ascend, each once. */
void transport_reporter_note(transport_reporter *it, uint16_t number, double arrival) {
    if (it->arrivals == NULL)
        it->arrivals = malloc(TRANSPORT_MAX_PACKETS * sizeof *it->arrivals);
    if (it->arrivals == NULL) {
        COUNT(it->counters, out_of_memory);
        return;
    }
    if (it->arrivals_at == NEVER)
        it->arrivals_at = arrival + TRANSPORT_INTERVAL;
    if (it->arrival_count >= TRANSPORT_MAX_PACKETS) {
        COUNT(it->counters, unacknowledged);
        return;
    }
    int64_t sequence = unwrapper_peek(&it->sequences, 16, number);
    unwrapper_move(&it->sequences, sequence);
    size_t place = it->arrival_count;
    while (place > 0 && it->arrivals[place - 1].sequence > sequence)
        place--;
    transport_arrival *at = it->arrivals + place;
    if (place > 0 && at[-1].sequence == sequence)
        return;
    memmove(at + 1, at, (it->arrival_count - place) * sizeof *at);
    *at = (transport_arrival){sequence, arrival};
    it->arrival_count++;
}

void transport_reporter_write(transport_reporter *it, uint32_t media_ssrc, double now,
                              rtcp_writer *to) {
    if (!transport_reporter_is_due(it, now))
        return;
    const transport_arrival *arrivals = it->arrivals;
    size_t count = it->arrival_count;
    int64_t begin = it->next, next = arrivals[count - 1].sequence + 1;
    transport_feedbacks feedbacks;
    transport_feedbacks_begin(&feedbacks, to, it->ssrc, media_ssrc, it->feedback_count);
    /* What was lost between two feedbacks is in neither unless the second begins with it. */
    if (it->has_next && begin < arrivals[0].sequence
        && arrivals[0].sequence < begin + TRANSPORT_MAX_PACKETS)
        transport_feedbacks_take(&feedbacks, begin, NAN);
    for (size_t i = 0; i < count; i++)
        transport_feedbacks_take(&feedbacks, arrivals[i].sequence, arrivals[i].arrival);
    transport_feedbacks_finish(&feedbacks);
    it->feedback_count = feedbacks.count;
    it->next = next > begin ? next : begin; /* 0 before the first one, as the reference */
    it->has_next = true;
    it->arrival_count = 0;
    it->arrivals_at = NEVER;
}
