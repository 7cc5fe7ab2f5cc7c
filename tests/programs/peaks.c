/* Largest absolute amplitude of each channel: rows "channel,time,value" in, triggers out.

   peaks --least LEAST INPUT OUTPUT */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *out;

static void flush(const char *channel, const char *time, double peak, double least)
{
    char station[64] = "";
    int dots = 0;
    if (!*channel || peak < least)
        return;
    for (size_t i = 0; channel[i] && i + 1 < sizeof station; i++) {
        if (channel[i] == '.' && ++dots == 2)
            break;
        station[i] = channel[i];
        station[i + 1] = 0;
    }
    fprintf(out, "%s,0,1,%s,%s,%.17g\n", time, station, channel, peak);
}

int main(int argc, char **argv)
{
    char line[512], channel[64] = "", time[64] = "", now[64], when[64];
    double peak = 0, value, least;
    FILE *in;
    if (argc != 5 || strcmp(argv[1], "--least")) {
        fprintf(stderr, "usage: peaks --least LEAST INPUT OUTPUT\n");
        return 2;
    }
    least = atof(argv[2]);
    in = fopen(argv[3], "r");
    out = fopen(argv[4], "w");
    if (!in || !out || !fgets(line, sizeof line, in)) {
        perror("peaks");
        return 1;
    }
    fprintf(out, "time,duration_s,n_stations,stations,channel,peak\n");
    while (fgets(line, sizeof line, in)) {
        if (sscanf(line, "%63[^,],%63[^,],%lf", now, when, &value) != 3) {
            fprintf(stderr, "peaks: cannot read the row %s", line);
            return 3;
        }
        if (strcmp(now, channel)) {
            flush(channel, time, peak, least);
            strcpy(channel, now);
            peak = -1;
        }
        if (fabs(value) > peak) {
            peak = fabs(value);
            strcpy(time, when);
        }
    }
    flush(channel, time, peak, least);
    return fclose(out) ? 1 : 0;
}
