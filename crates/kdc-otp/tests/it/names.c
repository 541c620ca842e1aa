/* For each line of standard input, in hexadecimal: what krb5_parse_name makes of it, as krb5_unparse_name writes it with
 * and without the realm, in hexadecimal; or "error". */
#include <krb5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void hex(const char *s) {
    for (; *s != '\0'; s++)
        printf("%02x", (unsigned char)*s);
}

int main(void) {
    static char line[8192], name[4096];
    krb5_context context;
    if (krb5_init_context(&context) != 0 || krb5_set_default_realm(context, "DEFAULT.REALM") != 0)
        return 1;
    while (fgets(line, sizeof(line), stdin) != NULL) {
        krb5_principal principal = NULL;
        char *with = NULL, *without = NULL;
        size_t length = strcspn(line, "\n") / 2;
        for (size_t i = 0; i < length; i++) {
            char pair[3] = {line[2 * i], line[2 * i + 1], '\0'};
            name[i] = (char)strtol(pair, NULL, 16);
        }
        name[length] = '\0';
        if (krb5_parse_name(context, name, &principal) != 0) {
            puts("error");
            continue;
        }
        if (krb5_unparse_name(context, principal, &with) != 0 ||
            krb5_unparse_name_flags(context, principal, KRB5_PRINCIPAL_UNPARSE_NO_REALM, &without) != 0)
            return 1;
        hex(with);
        putchar(' ');
        hex(without);
        putchar('\n');
        krb5_free_unparsed_name(context, with);
        krb5_free_unparsed_name(context, without);
        krb5_free_principal(context, principal);
    }
    return 0;
}
