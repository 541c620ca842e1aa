/*
 * Decodes JSON texts with the library that a KDC uses. Input and output are sequences of records in host byte order.
 *
 *   in:  uint32 length, uint8 encode, text
 *   out: int32 error code, uint32 length, canonical text if there is no error and encode is set
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void *k5_json_value;
int k5_json_decode(const char *text, k5_json_value *value_out);
int k5_json_encode(k5_json_value value, char **text_out);
void k5_json_release(k5_json_value value);

int
main(void)
{
    uint32_t length;
    uint8_t encode;

    while (fread(&length, sizeof(length), 1, stdin) == 1) {
        char *text = calloc((size_t)length + 1, 1), *canonical = NULL;
        k5_json_value value = NULL;
        int32_t code;

        if (text == NULL || fread(&encode, 1, 1, stdin) != 1 || fread(text, 1, length, stdin) != length)
            return 1;
        code = k5_json_decode(text, &value);
        if (code == 0 && encode && k5_json_encode(value, &canonical) != 0)
            return 1;
        if (code == 0)
            k5_json_release(value);
        length = canonical == NULL ? 0 : strlen(canonical);
        if (fwrite(&code, sizeof(code), 1, stdout) != 1 || fwrite(&length, sizeof(length), 1, stdout) != 1 ||
            fwrite(canonical == NULL ? "" : canonical, 1, length, stdout) != length)
            return 1;
        free(canonical);
        free(text);
    }
    return 0;
}
