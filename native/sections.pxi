# What is negotiated, as the C code reads it: what hot.pyx includes.

cdef class Section:
    """One RtpParameters as the C code reads it. *first*: the number of its first codec; those after
    it follow. *requests*: those to its source that are shared, or None."""

    cdef parameters it
    cdef codec *codecs
    cdef object negotiated
    cdef readonly str mid
    cdef list objects  # the Codecs, in the order of their numbers
    cdef list texts  # what the C strings point into
    cdef uint32_t first
    cdef KeyframeRequests requests  # what it.requests points into

    def __cinit__(self, negotiated, uint32_t first, KeyframeRequests requests):
        cdef dict indices = {}
        self.negotiated, self.first, self.mid = negotiated, first, negotiated.mid
        self.requests = requests
        if requests is not None:
            self.it.requests = &requests.it
        self.objects, self.texts = [], []
        for each in negotiated.codecs.values():
            if indices.setdefault(id(each), len(self.objects)) == len(self.objects):
                self.objects.append(each)
        self.codecs = <codec *>calloc(len(self.objects) or 1, sizeof(codec))
        if self.codecs == NULL:
            raise MemoryError
        for index, each in enumerate(self.objects):
            self._codec(&self.codecs[index], first + index, each)
        self._fill(indices)

    def __dealloc__(self):
        free(self.codecs)

    cdef int _codec(self, codec *it, uint32_t index, each) except -1:
        if each.clock_rate < 1:
            raise ValueError(f"clock rate {each.clock_rate}")
        sprop = each.parameter_sets
        # What is not base64 is ignored, entry by entry: "?" is none, and ends no text.
        sprop = sprop.replace("\0", "?").encode("ascii", "replace")
        self.texts.append(sprop)
        it.format = codec_format_named(each.name.encode())
        it.clock_rate = each.clock_rate
        it.index = index
        it.sprop = sprop
        return 0

    cdef int _fill(self, dict indices) except -1:
        stream = self.negotiated
        self.it.video = stream.kind is Kind.VIDEO
        self.it.aux = stream.role is Role.AUX
        for payload_type, each in stream.codecs.items():
            self.it.codecs[_seven_bits(payload_type)] = &self.codecs[<size_t>indices[id(each)]]
        for payload_type in range(128):
            self.it.rtx[payload_type] = self.it.red[payload_type] = -1
        for payload_type, original in stream.rtx.items():
            self.it.rtx[_seven_bits(payload_type)] = _seven_bits(original)
        for payload_type, block in stream.red.items():
            self.it.red[_seven_bits(payload_type)] = _seven_bits(block)
        for feedback in stream.feedback:
            self.it.feedback |= <unsigned>FEEDBACK.get(feedback, 0)
        _extension_ids(self.it.transport_cc_ids, stream, (TRANSPORT_WIDE_CC,))
        _extension_ids(self.it.mid_ids, stream, (MID,))
        _extension_ids(self.it.rid_ids, stream, (RID, REPAIRED_RID))
        _extension_ids(self.it.orientation_ids, stream, (ORIENTATION,))
        _extension_ids(self.it.level_ids, stream, (AUDIO_LEVEL,))
        mid = stream.mid.encode()
        self.texts.append(mid)
        self.it.mid, self.it.mid_size = mid, <size_t>len(mid)
        self.it.max_bitrate = stream.max_bitrate
        self._layers(stream.rids)
        return self._ssrcs(stream.ssrcs)

    cdef int _layers(self, rids) except -1:
        if len(rids) > MAX_LAYERS:
            raise ValueError(f"{len(rids)} layers")
        for index, rid in enumerate(rids):
            text = rid.encode()
            self.texts.append(text)
            self.it.rids[index].text, self.it.rids[index].size = text, <size_t>len(text)
        self.it.rid_count = <size_t>len(rids)
        return 0

    cdef int _ssrcs(self, ssrcs) except -1:
        if len(ssrcs) > MAX_NAMED_SSRCS:
            raise ValueError(f"{len(ssrcs)} SSRCs")
        for index, ssrc in enumerate(ssrcs):
            self.it.ssrcs[index] = <uint32_t>ssrc
        self.it.ssrc_count = <size_t>len(ssrcs)
        return 0


cdef int _extension_ids(int *out, stream, tuple uris) except -1:
    """Those of header extensions; -1 where there are no more."""
    ids = [
        number for number, what in stream.extensions.items() if what in uris and 0 < number < 256
    ]
    for index in range(14):
        out[index] = ids[index] if index < len(ids) else -1
    return 0


cdef int _seven_bits(payload_type) except -1:
    if not 0 <= payload_type <= 127:
        raise ValueError(f"payload type {payload_type}")
    return payload_type


cdef class Change:
    """An anchor's sections in place of those before; what was before lives until this is dropped,
    for the C code lets go of it only while it is called."""

    cdef Bundle bundle
    cdef object name
    cdef uint64_t anchor
    cdef list wanted, before
    cdef const parameters **parameters
    cdef size_t count

    def __cinit__(self, Bundle bundle, anchor, list sections):
        _check_mids(sections)
        self.bundle, self.name = bundle, anchor
        self.anchor = bundle._anchors.get(anchor, 0)
        self.before = bundle._sections.get(self.anchor, [])
        self.wanted, self.count = [], len(sections)
        self.parameters = <const parameters **>calloc(self.count or 1, sizeof(parameters *))
        if self.parameters == NULL:
            raise MemoryError
        rest = list(self.before)
        for index, negotiated in enumerate(sections):
            section = self._section(rest, negotiated)
            self.wanted.append(section)
            self.parameters[index] = &(<Section>section).it
        if self.anchor == 0:
            bundle._last_anchor += 1
            self.anchor = bundle._last_anchor

    def __dealloc__(self):
        free(self.parameters)

    cdef object _section(self, list rest, negotiated):
        """The first such section of *rest*, which it leaves, or a new one."""
        cdef Section section
        for section in rest:
            if section.negotiated == negotiated:
                rest.remove(section)
                return section
        section = Section(negotiated, self.bundle._last_codec, self._requests(negotiated))
        self.bundle._last_codec += <uint32_t>len(section.objects)
        return section

    cdef object _requests(self, negotiated):
        if self.bundle._requests_of is None or negotiated.kind is not Kind.VIDEO:
            return None
        return self.bundle._requests_of(self.name, negotiated.slot)

    cdef list commit(self, outputs *out):
        """The C code has made the change: gives its outputs."""
        cdef Section section
        cdef Bundle bundle = self.bundle
        found = bundle._outputs(out)  # the last cuts are of codecs before the change
        mids = {section.negotiated.mid for section in self.wanted if section.negotiated.mid}
        for name, number in [*bundle._anchors.items()]:
            theirs = bundle._sections[number]
            self._set(name, number, [one for one in theirs if one.mid not in mids])
        self._set(self.name, self.anchor, self.wanted)
        bundle._codecs = {
            section.first + index: each
            for theirs in bundle._sections.values()
            for section in theirs
            for index, each in enumerate(section.objects)
        }
        return found

    cdef int _set(self, name, number, list sections) except -1:
        self.bundle._anchors[name] = number
        self.bundle._sections[number] = sections
        if not sections:
            del self.bundle._anchors[name], self.bundle._sections[number]
        return 0


cdef int _check_mids(list sections) except -1:
    mids = Counter(section.mid for section in sections if section.mid)
    for mid, times in mids.most_common(1):
        if times > 1:
            raise BadInput("sections", f"MID {mid} {times} times", "each MID once")
    return 0
