/* Writes containers with libpskc: lines "NAME HEX" on standard input describe a key, the line "end" writes its container
 * in hexadecimal on one line of standard output. */
#define _GNU_SOURCE
#include <pskc/pskc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char text[4096];
static size_t length;

static void unhex(const char *hex)
{
    length = 0;
    for (unsigned octet; sscanf(hex, "%2x", &octet) == 1 && length < sizeof text - 1; hex += 2)
        text[length++] = (char) octet;
    text[length] = 0;
}

static const struct tm *date(void)
{
    static struct tm broken;
    time_t seconds = (time_t) strtoll(text, NULL, 10);
    return gmtime_r(&seconds, &broken);
}

static void set(pskc_key_t *key, const char *name)
{
    int number = atoi(text);
#define STRING(field) if (!strcmp(name, #field)) pskc_set_##field(key, strdup(text))
    STRING(device_manufacturer); STRING(device_serialno); STRING(device_model); STRING(device_issueno);
    STRING(device_devicebinding); STRING(device_userid); STRING(cryptomodule_id); STRING(key_id); STRING(key_algorithm);
    STRING(key_issuer); STRING(key_algparm_suite); STRING(key_profileid); STRING(key_reference);
    STRING(key_friendlyname); STRING(key_userid); STRING(key_policy_pinkeyid);
#define VALUE(field, value) if (!strcmp(name, #field)) pskc_set_##field(key, value)
    VALUE(device_startdate, date()); VALUE(device_expirydate, date());
    VALUE(key_policy_startdate, date()); VALUE(key_policy_expirydate, date());
    VALUE(key_algparm_resp_length, (uint32_t) number); VALUE(key_algparm_resp_checkdigits, number);
    VALUE(key_data_counter, strtoull(text, NULL, 10)); VALUE(key_data_time, (uint32_t) number);
    VALUE(key_data_timeinterval, (uint32_t) number); VALUE(key_data_timedrift, (uint32_t) number);
    VALUE(key_policy_numberoftransactions, strtoull(text, NULL, 10)); VALUE(key_policy_keyusages, number);
    if (!strcmp(name, "secret"))
        pskc_set_key_data_secret(key, text, length);
}

int main(void)
{
    static char line[16384], name[128], hex[16000];
    pskc_t *container = NULL;
    pskc_key_t *key = NULL;
    if (pskc_global_init() != PSKC_OK)
        return 1;
    while (fgets(line, sizeof line, stdin)) {
        if (!container) {
            if (pskc_init(&container) != PSKC_OK || pskc_add_keypackage(container, &key) != PSKC_OK)
                return 1;
            pskc_set_version(container, "1.0");
            pskc_set_key_algparm_resp_encoding(key, PSKC_VALUEFORMAT_DECIMAL);
        }
        hex[0] = 0;
        if (!strcmp(line, "end\n")) {
            char *out;
            size_t len;
            if (pskc_build_xml(container, &out, &len) != PSKC_OK
                || pskc_output(container, PSKC_OUTPUT_XML, &out, &len) != PSKC_OK)
                return 1;
            for (size_t i = 0; i < len; i++)
                printf("%02x", (unsigned char) out[i]);
            putchar('\n');
            container = NULL;
        } else if (sscanf(line, "%127s %15999s", name, hex) >= 1) {
            unhex(hex);
            set(key, name);
        }
    }
    return 0;
}
