/* The table of codecs; twin of slicer/rtp/codecs/__init__.py. */
#ifndef SLICER_CODECS_H
#define SLICER_CODECS_H

#include "codec.h"

/* Every codec there is; NAME_format is its row, in the file of that name (opus.c, pcm.c, vp8.c ...). */
#define CODECS(X) X(opus) X(pcmu) X(pcma) X(g722) X(vp8) X(vp9) X(h264) X(av1) X(h265)

#define X(name) extern const codec_format name##_format;
CODECS(X)
#undef X

/* All rows, NULL behind the last. */
extern const codec_format *const codec_formats[];

/* The row of this name, or NULL: a codec that we cannot read. */
const codec_format *codec_format_named(const char *name);

#endif
