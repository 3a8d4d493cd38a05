#include "audio.h"

static void audio_cut_free(audio_cut *it) {
    free(it->packets);
    free(it->bytes);
}

static void picture_cut_free(picture_cut *it) {
    buffer_free(&it->frames);
    free(it->ends);
}

void output_free(output *it) {
    if (it->kind == OUTPUT_AUDIO)
        audio_cut_free(&it->as.audio);
    else if (it->kind == OUTPUT_PICTURE || it->kind == OUTPUT_FRAMES)
        picture_cut_free(&it->as.picture);
    else if (it->kind == OUTPUT_TRANSMIT)
        buffer_free(&it->as.transmit);
}

bool outputs_add(outputs *it, output *one) {
    output *of = grown(it->of, it->count + 1, &it->capacity, sizeof *of, 4);
    if (of == NULL) {
        output_free(one);
        return false;
    }
    it->of = of;
    it->of[it->count++] = *one;
    return true;
}

void outputs_clear(outputs *it) {
    for (size_t i = 0; i < it->count; i++)
        output_free(&it->of[i]);
    it->count = 0;
}

void outputs_free(outputs *it) {
    outputs_clear(it);
    free(it->of);
    *it = (outputs){0};
}
