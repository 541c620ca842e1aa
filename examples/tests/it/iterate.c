/* Prints what libprofile's iterator gives for the files that each line of standard input lists, separated by colons, in
 * the form of the example profile_dump, and a line with a dot after each. */
#include <profile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64, MAX_FILES = 8, MAX_CHILDREN = 1024 };

static const char *path[MAX_DEPTH + 1];

static void print(const char *s) {
    for (; *s != '\0'; s++) {
        switch (*s) {
        case '\n': fputs("\\n", stdout); break;
        case '\t': fputs("\\t", stdout); break;
        case '\b': fputs("\\b", stdout); break;
        case '\\': fputs("\\\\", stdout); break;
        default: putchar(*s);
        }
    }
}

static void section(profile_t profile, int depth) {
    void *iterator = NULL;
    char *name = NULL, *value = NULL, *seen[MAX_CHILDREN];
    int count = 0;
    path[depth] = NULL;
    if (depth == MAX_DEPTH || profile_iterator_create(profile, path, PROFILE_ITER_LIST_SECTION, &iterator) != 0)
        abort();
    while (profile_iterator(&iterator, &name, &value) == 0 && name != NULL) {
        if (value != NULL) {
            for (int i = 0; i < depth; i++) {
                print(path[i]);
                putchar('/');
            }
            print(name);
            fputs(" = ", stdout);
            print(value);
            putchar('\n');
            profile_release_string(value);
            profile_release_string(name);
        } else {
            int known = 0;
            for (int i = 0; i < count; i++)
                known |= strcmp(seen[i], name) == 0;
            if (known) {
                profile_release_string(name);
            } else {
                if (count == MAX_CHILDREN)
                    abort();
                seen[count++] = name;
                path[depth] = name;
                section(profile, depth + 1);
                path[depth] = NULL;
            }
        }
        name = value = NULL;
    }
    for (int i = 0; i < count; i++)
        profile_release_string(seen[i]);
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
        if (profile_init(files, &profile) != 0) {
            puts("ERROR");
        } else {
            section(profile, 0);
            profile_release(profile);
        }
        puts(".");
    }
    return 0;
}
