#include "codecs.h"

const codec_format *const codec_formats[] = {
#define X(name) &name##_format,
    CODECS(X)
#undef X
    NULL,
};

const codec_format *codec_format_named(const char *name) {
    for (const codec_format *const *it = codec_formats; *it != NULL; it++)
        if (strcmp((*it)->name, name) == 0)
            return *it;
    return NULL;
}
