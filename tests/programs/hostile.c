/* Does what a program may not do; the first argument says what.  OUT is the last one. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAKE (O_CREAT | O_WRONLY)

static char block[1 << 20];

static const char *HEADER = "time,duration_s,n_stations,stations\n";

static void good(const char *out)
{
    FILE *f = fopen(out, "w");
    fputs(HEADER, f);
    fclose(f);
}

static int dial(const char *host, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    inet_pton(AF_INET, host, &to.sin_addr);
    return connect(s, (struct sockaddr *)&to, sizeof to);
}

static int dial_unix(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    strncpy(to.sun_path + 1, path, sizeof to.sun_path - 2); /* abstract: in no file system */
    return connect(s, (struct sockaddr *)&to, sizeof(sa_family_t) + 1 + strlen(path));
}

/* Tell on standard error what each attempt came to. */
#define TRY(what) fprintf(stderr, "%s=%s\n", #what, (what) >= 0 ? "DONE" : strerror(errno))

int main(int argc, char **argv)
{
    const char *how = argv[1], *target = argv[2], *out = argv[argc - 1];
    memset(block, 'x', sizeof block);
    if (!strcmp(how, "network")) {
        TRY(dial("127.0.0.1", atoi(target)));
        TRY(dial("192.0.2.1", 80));
        TRY(dial_unix(argv[3]));
        good(out);
    } else if (!strcmp(how, "files")) {
        TRY(open(target, O_RDONLY));
        TRY(open("/etc/passwd", O_RDONLY));
        TRY(open("/proc/1/environ", O_RDONLY));
        TRY(open("/proc/1/root/etc/hostname", O_RDONLY));
        TRY(open("/run", O_RDONLY));
        TRY(open("/var", O_RDONLY));
        TRY(open("/home", O_RDONLY));
        good(out);
    } else if (!strcmp(how, "reads")) {
        ssize_t n = read(open(target, O_RDONLY), block, sizeof block);
        fwrite(block, 1, n > 0 ? n : 0, stdout);
        good(out);
    } else if (!strcmp(how, "environment")) {
        for (char **word = environ; *word; word++)
            printf("%s\n", *word);
        good(out);
    } else if (!strcmp(how, "meddles")) {
        TRY(open("/x", MAKE, 0600));
        TRY(open("/usr/x", MAKE, 0600));
        TRY(open("/dev/x", MAKE, 0600));
        TRY(open("in/x", MAKE, 0600));
        TRY(open("../x", MAKE, 0600));
        TRY(chmod("in/hostile", 04777));
        TRY(setuid(0));
        TRY(rename("in", "out"));
        TRY(unlink("in/hostile"));
        good(out);
    } else if (!strcmp(how, "forks")) {
        for (;;)
            fork();
    } else if (!strcmp(how, "leaves")) {
        if (fork() == 0) {
            setsid();
            for (;;)
                pause();
        }
        good(out);
    } else if (!strcmp(how, "loops")) {
        for (;;)
            ;
    } else if (!strcmp(how, "sleeps")) {
        signal(SIGTERM, SIG_IGN);
        fprintf(stderr, "good night\n");
        for (;;)
            pause();
    } else if (!strcmp(how, "talks")) {
        for (;;)
            fwrite(block, 1, sizeof block, stdout);
    } else if (!strcmp(how, "writes")) {
        int f = open(out, O_CREAT | O_WRONLY, 0600);
        while (write(f, block, sizeof block) > 0)
            ;
        return 1;
    } else if (!strcmp(how, "hoards")) {
        char name[32];
        for (int i = 0;; i++) {
            sprintf(name, "f%d", i);
            int f = open(name, O_CREAT | O_WRONLY, 0600);
            if (write(f, block, sizeof block) < 0)
                return 1;
            close(f);
        }
    } else if (!strcmp(how, "fills")) {
        for (int i = 0; i < 400; i++) {
            char name[32];
            sprintf(name, "/tmp/f%d", i);
            int f = open(name, MAKE, 0600);
            if (write(f, block, sizeof block) != sizeof block) {
                fprintf(stderr, "no room\n");
                return 8;
            }
            close(f);
        }
        pause();
    } else if (!strcmp(how, "hides")) {
        for (int i = 0; i < 200; i++) {
            int f = open("x", MAKE, 0600);
            unlink("x");
            for (int n = 0; n < 4; n++)
                if (write(f, block, sizeof block) < 0)
                    return 1;
            usleep(10000);
        }
    } else if (!strcmp(how, "eats")) {
        for (;;) {
            char *more = malloc(1 << 24);
            if (!more) {
                fprintf(stderr, "no memory\n");
                return 7;
            }
            memset(more, 1, 1 << 24);
        }
    } else if (!strcmp(how, "shares")) { /* each child below what one process may have */
        for (int i = 0; i < 8; i++)
            if (fork() == 0) {
                char *more = malloc(48 << 20);
                memset(more, 1, 48 << 20);
                for (;;)
                    pause();
            }
        for (;;)
            pause();
    } else if (!strcmp(how, "links")) {
        symlink(target, out);
    } else if (!strcmp(how, "pipes")) {
        mkfifo(out, 0666);
    } else if (!strcmp(how, "folder")) {
        mkdir(out, 0777);
    } else if (!strcmp(how, "nests")) {
        for (int i = 0; i < 1500 && !mkdir("d", 0700) && !chdir("d"); i++)
            ;
        return 9;
    } else if (!strcmp(how, "closes")) {
        mkdir("shut", 0700);
        open("shut/x", O_CREAT | O_WRONLY, 0600);
        chmod("shut", 0);
        good(out);
    } else if (!strcmp(how, "breaks")) {
        FILE *f = fopen(out, "w");
        fputs("\x7f" "ELF what is this", f);
    } else if (!strcmp(how, "another")) {
        FILE *f = fopen(out, "w");
        fputs("network,station,location,channel,phase,time,probability\n", f);
    } else if (!strcmp(how, "crashes")) {
        fprintf(stderr, "about to\n");
        raise(SIGSEGV);
    } else if (!strcmp(how, "fails")) {
        fprintf(stderr, "first\nsecond \033[31m\nthe station is unknown\n");
        return 3;
    } else if (!strcmp(how, "says")) {
        printf("42 rows\n");
        fprintf(stderr, "no gain, 1 taken\n");
        good(out);
    } else if (!strcmp(how, "nothing")) {
        return 0;
    }
    return 0;
}
