/* Runs a fuzz target on the files named: where there is no libFuzzer, the corpus is still replayed. */
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int count, char **names) {
    for (int at = 1; at < count; at++) {
        FILE *file = fopen(names[at], "rb");
        long size = file && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
        uint8_t *data = size >= 0 ? malloc((size_t)size + !size) : NULL;
        if (data == NULL || fseek(file, 0, SEEK_SET) != 0 ||
            fread(data, 1, (size_t)size, file) != (size_t)size)
            return fprintf(stderr, "%s cannot be read\n", names[at]), 2;
        fclose(file);
        fprintf(stderr, "%s\n", names[at]);
        LLVMFuzzerTestOneInput(data, (size_t)size);
        free(data);
    }
    return count < 2;
}
