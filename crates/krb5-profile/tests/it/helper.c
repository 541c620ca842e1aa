/* Prints what libprofile sees of the files that each line of standard input lists, separated by colons, in the form
 * of dump.rs. */
#include <profile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64, MAX_FILES = 8 };

static const char *path[MAX_DEPTH + 2];

static void hex(const char *s) {
    for (; *s != '\0'; s++)
        printf("%02x", (unsigned char)*s);
}

static void values(profile_t profile, int depth, const char *name) {
    char **list = NULL;
    path[depth] = name;
    path[depth + 1] = NULL;
    if (profile_get_values(profile, path, &list) == 0) {
        for (char **value = list; *value != NULL; value++) {
            printf("%*sr", depth, "");
            hex(name);
            printf("=");
            hex(*value);
            printf("\n");
        }
        profile_free_list(list);
    }
    path[depth] = NULL;
}

static void section(profile_t profile, int depth) {
    char **list = NULL;
    if (depth >= MAX_DEPTH) {
        printf("too deep\n");
        return;
    }
    path[depth] = NULL;
    if (depth > 0 && profile_get_relation_names(profile, path, &list) == 0) {
        for (char **name = list; *name != NULL; name++)
            values(profile, depth, *name);
        profile_free_list(list);
    }
    if (profile_get_subsection_names(profile, path, &list) != 0)
        return;
    for (char **name = list; *name != NULL; name++) {
        printf("%*ss", depth, "");
        hex(*name);
        printf("\n");
    }
    for (char **name = list; *name != NULL; name++) {
        int seen = 0;
        for (char **before = list; before != name; before++)
            seen |= strcmp(*before, *name) == 0;
        if (seen)
            continue;
        printf("%*s>", depth, "");
        hex(*name);
        printf("\n");
        path[depth] = *name;
        section(profile, depth + 1);
        path[depth] = NULL;
    }
    profile_free_list(list);
}

int main(void) {
    static char line[65536];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        const char *files[MAX_FILES + 1] = {0};
        profile_t profile = NULL;
        int count = 0;
        line[strcspn(line, "\n")] = '\0';
        for (char *name = strtok(line, ":"); name != NULL && count < MAX_FILES; name = strtok(NULL, ":"))
            files[count++] = name;
        long code = profile_init(files, &profile);
        if (code != 0) {
            printf("error %ld\n", code);
        } else {
            section(profile, 0);
            profile_release(profile);
        }
        printf(".\n");
    }
    return 0;
}
