/* Decodes RADIUS requests with MIT libkrad: lines `SECRET HEX` in, `ok CODE T:I=hex ...` or `err NUMBER` out.
 *
 * Debian ships libkrad without its header, so the part of its interface that is used is declared here. */
#include <krb5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct krad_packet_st krad_packet;
typedef const krad_packet *(*krad_packet_iter_cb)(void *data, krb5_boolean cancel);

krb5_error_code krad_packet_decode_request(krb5_context ctx, const char *secret, const krb5_data *buffer,
                                           krad_packet_iter_cb cb, void *data, const krad_packet **duplicate,
                                           krad_packet **request);
unsigned char krad_packet_get_code(const krad_packet *packet);
const krb5_data *krad_packet_get_attr(const krad_packet *packet, unsigned char type, size_t index);
void krad_packet_free(krad_packet *packet);

static void print(const krad_packet *packet)
{
    printf("ok %u", krad_packet_get_code(packet));
    for (unsigned type = 0; type <= 255; type++) {
        const krb5_data *value;
        for (size_t index = 0; (value = krad_packet_get_attr(packet, type, index)) != NULL; index++) {
            printf(" %u:%zu=", type, index);
            for (unsigned i = 0; i < value->length; i++)
                printf("%02x", (unsigned char)value->data[i]);
        }
    }
    printf("\n");
}

int main(void)
{
    krb5_context context;
    char *line = NULL;
    size_t size = 0;
    ssize_t length;

    if (krb5_init_context(&context) != 0)
        return 1;
    while ((length = getline(&line, &size, stdin)) > 0) {
        if (line[length - 1] == '\n')
            line[--length] = '\0';
        char *hex = strrchr(line, ' ');
        if (hex == NULL)
            return 1;
        *hex++ = '\0';
        /* An allocation of exactly this size, so that a checker of memory sees a read past its end. */
        size_t octets = strlen(hex) / 2;
        char *buffer = malloc(octets + (octets == 0));
        for (size_t i = 0; i < octets; i++) {
            unsigned octet;
            if (sscanf(hex + 2 * i, "%2x", &octet) != 1)
                return 1;
            buffer[i] = (char)octet;
        }
        krb5_data data = { .magic = KV5M_DATA, .length = octets, .data = buffer };
        const char *secret = strcmp(line, "-") == 0 ? "" : line;
        const krad_packet *duplicate = NULL;
        krad_packet *packet = NULL;
        krb5_error_code error =
            krad_packet_decode_request(context, secret, &data, NULL, NULL, &duplicate, &packet);
        if (error == 0)
            print(packet);
        else
            printf("err %d\n", (int)error);
        krad_packet_free(packet);
        free(buffer);
    }
    free(line);
    krb5_free_context(context);
    return 0;
}
