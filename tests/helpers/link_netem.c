/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The models of bad links beside Linux's netem, by statistics.
 *
 *	link_netem probe RESULT PAIR...		in a guest: sends packets through pairs of veth, whose first end has a netem
 *						PAIR is NAME:COUNT:LENGTH; its ends are NAME0 and NAME1; what arrived goes to RESULT/NAME,
 *						a line "NUMBER DELAY_NS TIME_NS" each, in the order of arrival
 *	link_netem pace RESULT GAP_US PAIR...	the same with so long between two packets of a pair, and little to do meanwhile: what is in a delay besides what
 *						was asked for
 *	link_netem judge RESULT PAIR TEST WORD...	anywhere: the same number of packets through our model of these words, and
 *						the tests of two samples that TEST names: delay, loss, duplicate, reorder, rate, count
 *
 *	link_netem draw PAIR WORD...		our packets alone, in the form of RESULT/NAME
 *
 * Packets of a pair are sent at an even pace, those of less than AT_ONCE at once. Each test is at a level of 1e-5: of so many runs with equal distributions one fails.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <math.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/link_model.h"

#define PAIRS_MOST 24
#define PROTOCOL   0x88b5 /* for experiments */
#define GAP_NS     250000ULL
#define AT_ONCE    1000 /* fewer packets are sent at once: they wait for each other */
#define QUIET_MS   9000 /* after the last one: the longest delay and queue here, and more */
#define LEVEL      1e-5
#define Z_MOST     4.42 /* the normal distribution's, for that level */

struct packet {
	struct ether_header head;
	uint32_t number;
	uint64_t sent;
	uint8_t rest[1484];
} __attribute__((packed));

struct pair {
	char name[IFNAMSIZ];
	unsigned count, length, sent;
	int out, in;
	FILE *result;
};

static void die(const char *what)
{
	fprintf(stderr, "link_netem: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void read_pair(struct pair *pair, const char *text)
{
	if (sscanf(text, "%13[^:]:%u:%u", pair->name, &pair->count, &pair->length) != 3 ||
	    pair->length < 60 || pair->length > sizeof(struct packet)) {
		fprintf(stderr, "link_netem: %s: expected NAME:COUNT:LENGTH\n", text);
		exit(2);
	}
}

/* ---- Measuring ---- */

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static int open_end(const struct pair *pair, char end)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(PROTOCOL) };
	int fd = socket(AF_PACKET, SOCK_RAW, htons(PROTOCOL)), one = 1, room = 64 << 20;
	char name[IFNAMSIZ + 1];

	snprintf(name, sizeof(name), "%.13s%c", pair->name, end);
	address.sll_ifindex = (int)if_nametoindex(name);
	if (fd < 0 || !address.sll_ifindex ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)))
		die(name);
	return fd;
}

static void send_one(struct pair *pair)
{
	struct packet packet = { .head = { .ether_dhost = { 2, 0, 0, 0, 0, 1 },
					   .ether_shost = { 2 },
					   .ether_type = htons(PROTOCOL) },
				 .number = pair->sent,
				 .sent = now() };

	if (send(pair->out, &packet, pair->length, 0) < 0 && errno != ENOBUFS)
		die(pair->name);
	pair->sent++;
}

/* All that has come. */
static void take(struct pair *pair)
{
	struct packet packet;
	char control[256];
	struct iovec piece = { &packet, sizeof(packet) };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };

	for (;;) {
		struct cmsghdr *each;
		struct timespec at = { 0 };
		uint64_t arrived;

		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		if (recvmsg(pair->in, &message, MSG_DONTWAIT) < 0)
			return;
		for (each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each))
			if (each->cmsg_level == SOL_SOCKET && each->cmsg_type == SO_TIMESTAMPNS)
				memcpy(&at, CMSG_DATA(each), sizeof(at));
		arrived = (uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec;
		fprintf(pair->result, "%u %" PRId64 " %" PRIu64 "\n", packet.number,
			(int64_t)(arrived - packet.sent), arrived);
	}
}

static void wait_until(uint64_t when)
{
	uint64_t time = now();
	struct timespec left = { 0 };

	if (time < when) {
		left.tv_sec = (time_t)((when - time) / 1000000000);
		left.tv_nsec = (long)((when - time) % 1000000000);
		nanosleep(&left, NULL);
	}
}

/* One packet of each pair, the first of them another one each time, and what came meanwhile. */
static void send_slowly(struct pair *pairs, unsigned count, uint64_t gap, unsigned most)
{
	uint64_t begin = now();

	for (unsigned step = 0; step < most; step++) {
		wait_until(begin + step * gap);
		for (unsigned i = 0; i < count; i++)
			if (pairs[(i + step) % count].sent < pairs[(i + step) % count].count)
				send_one(&pairs[(i + step) % count]);
		for (unsigned i = 0; i < count; i++)
			take(&pairs[i]);
	}
}

/* `gap` in nanoseconds; 0: as fast as it goes. */
static int probe(const char *folder, uint64_t gap, char **texts, unsigned count)
{
	struct pair pairs[PAIRS_MOST] = { 0 };
	unsigned most = 0;
	uint64_t begin;

	for (unsigned i = 0; i < count; i++) {
		char path[4096];

		read_pair(&pairs[i], texts[i]);
		snprintf(path, sizeof(path), "%s/%s", folder, pairs[i].name);
		pairs[i].result = fopen(path, "w");
		pairs[i].out = open_end(&pairs[i], '0');
		pairs[i].in = open_end(&pairs[i], '1');
		if (!pairs[i].result)
			die(path);
		most = pairs[i].count > most ? pairs[i].count : most;
	}
	begin = now();
	if (gap)
		send_slowly(pairs, count, gap, most);
	/* All pairs over the same time, each at an even pace. */
	for (unsigned step = 0; !gap && step < most; step++) {
		for (unsigned i = 0; i < count; i++)
			while (pairs[i].sent < pairs[i].count &&
			       (pairs[i].count < AT_ONCE ||
				(uint64_t)pairs[i].sent * most <= (uint64_t)step * pairs[i].count))
				send_one(&pairs[i]);
		if (step % 64 == 0)
			for (unsigned i = 0; i < count; i++)
				take(&pairs[i]);
	}
	printf("sent in %" PRIu64 " ms\n", (now() - begin) / 1000000);
	for (unsigned waited = 0; waited < QUIET_MS; waited += 20) {
		poll(NULL, 0, 20);
		for (unsigned i = 0; i < count; i++)
			take(&pairs[i]);
	}
	for (unsigned i = 0; i < count; i++)
		if (fclose(pairs[i].result))
			die(pairs[i].name);
	return 0;
}

/* ---- Samples ---- */

struct arrival {
	uint64_t at;
	unsigned number;
	double delay;
};

struct sample {
	struct arrival *list;
	unsigned count, sent;
};

static struct sample make_sample(unsigned sent)
{
	return (struct sample){ calloc(2ul * sent + 1, sizeof(struct arrival)), 0, sent };
}

static struct sample read_netem(const char *folder, const struct pair *pair)
{
	struct sample sample = make_sample(pair->count);
	char path[4096];
	double delay;
	uint64_t at;
	unsigned number;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, pair->name);
	file = fopen(path, "r");
	if (!file)
		die(path);
	while (sample.count < 2 * pair->count &&
	       fscanf(file, "%u %lf %" SCNu64, &number, &delay, &at) == 3)
		sample.list[sample.count++] = (struct arrival){ at, number, delay };
	fclose(file);
	return sample;
}

static int by_time(const void *a, const void *b)
{
	const struct arrival *first = a, *second = b;

	return first->at != second->at ? (first->at > second->at) - (first->at < second->at)
				       : (int)first->number - (int)second->number;
}

static struct link_table *read_table(const char *path, struct error *error)
{
	static char text[LINK_TABLE_BYTES];
	struct link_table *table = NULL;
	FILE *file = fopen(path, "r");

	if (!file)
		die(path);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	link_table_read(&table, path, text, error);
	return table;
}

static struct link_model read_model(char **words)
{
	struct link_model model = { .seed = 1 };
	struct error error = { 0 };

	for (; *words; words++) {
		const char *table = strstr(*words, ",table=");

		if (!link_model_set(&model, *words, &error) && table)
			model.table = read_table(table + strlen(",table="), &error);
	}
	if (error.code || link_model_check(&model, &error)) {
		fprintf(stderr, "%s\n", error.text);
		exit(2);
	}
	return model;
}

/* Of a Markov chain of two states, whose correlation from one to the next is 1 - p - r: its share is less sure than that of
 * independent draws, in the limit by this factor. */
static double spread_of(const struct link_model *model)
{
	double correlation = 1 - (double)(model->states.p + model->states.r) * 0x1p-63;

	return model->loss_kind == LINK_LOSS_STATES ? sqrt((1 + correlation) / (1 - correlation))
						    : 1;
}

static struct sample draw_ours(const struct pair *pair, const struct link_model *model,
			       uint64_t gap)
{
	struct sample sample = make_sample(pair->count);
	uint64_t *sent = calloc(2 * pair->count, sizeof(*sent)); /* in order */
	struct link_way way;
	unsigned gone = 0;

	if (!sent)
		exit(2);
	link_way_start(&way, model, pair->name, true);
	for (unsigned i = 0; i < pair->count; i++) {
		struct link_fate fate;

		while (gone < sample.count && sent[gone] <= i * gap)
			gone++;
		link_way_decide(&way, i * gap, pair->length, sample.count - gone, false, &fate);
		for (unsigned k = 0; k < fate.copies; k++) {
			sent[sample.count] = fate.sent[k];
			sample.list[sample.count++] =
				(struct arrival){ fate.due[k], i, (double)(fate.due[k] - i * gap) };
		}
	}
	free(sent);
	qsort(sample.list, sample.count, sizeof(*sample.list), by_time);
	return sample;
}

/* ---- Tests ---- */

static int verdict(const char *what, double found, double most, const struct sample *theirs,
		   const struct sample *ours)
{
	printf("%s: %.4f, at most %.4f (netem %u of %u, tenon %u)\n", what, found, most,
	       theirs->count, theirs->sent, ours->count);
	return found <= most ? 0 : 1;
}

static int by_delay(const void *a, const void *b)
{
	double first = ((const struct arrival *)a)->delay,
	       second = ((const struct arrival *)b)->delay;

	return (first > second) - (first < second);
}

/* Kolmogorov and Smirnov's distance of two samples. */
static int test_delay(struct sample *theirs, struct sample *ours)
{
	double n = theirs->count, m = ours->count, distance = 0;
	unsigned i = 0, k = 0;

	qsort(theirs->list, theirs->count, sizeof(*theirs->list), by_delay);
	qsort(ours->list, ours->count, sizeof(*ours->list), by_delay);
	while (i < theirs->count && k < ours->count) {
		if (theirs->list[i].delay <= ours->list[k].delay)
			i++;
		else
			k++;
		distance = fmax(distance, fabs(i / n - k / m));
	}
	for (unsigned q = 0; q <= 10; q++)
		printf("  %3u %%: %8.2f ms %8.2f ms\n", q * 10,
		       theirs->list[MIN(q * theirs->count / 10, theirs->count - 1)].delay / 1e6,
		       ours->list[MIN(q * ours->count / 10, ours->count - 1)].delay / 1e6);
	return verdict("distance of delays", distance,
		       sqrt(-log(LEVEL / 2) / 2) * sqrt((n + m) / (n * m)), theirs, ours);
}

/* Two shares, x of n and y of m. `spread`: by what the deviation is more than that of packets which know nothing of each other. */
static int test_shares(const char *what, double spread, double x, double n, double y, double m,
		       const struct sample *theirs, const struct sample *ours)
{
	double share = (x + y) / (n + m);

	return verdict(what,
		       fabs(x / n - y / m) / sqrt(share * (1 - share) * (1 / n + 1 / m)) / spread,
		       Z_MOST, theirs, ours);
}

#define RUN_BINS 6

static void count_runs(const struct sample *sample, double bins[RUN_BINS])
{
	char *came = calloc(sample->sent + 1, 1);
	unsigned run = 0;

	for (unsigned i = 0; i < sample->count; i++)
		came[sample->list[i].number] = 1;
	came[sample->sent] = 1;
	for (unsigned i = 0; i <= sample->sent; i++) {
		if (run && came[i])
			bins[run < RUN_BINS ? run - 1 : RUN_BINS - 1]++;
		run = came[i] ? 0 : run + 1;
	}
	free(came);
}

/* Chi-square, of how long the runs of lost packets are; bins with few are put together. */
static int test_loss(struct sample *theirs, struct sample *ours, double spread)
{
	double a[RUN_BINS] = { 0 }, b[RUN_BINS] = { 0 }, n = 0, m = 0, sum = 0;
	/* Of 0 to 5 degrees of freedom, at the level. */
	static const double most[RUN_BINS] = { 0, 19.51, 23.03, 25.90, 28.47, 30.86 };
	unsigned bins = 0;

	count_runs(theirs, a);
	count_runs(ours, b);
	for (unsigned i = 0; i < RUN_BINS; i++) {
		n += a[i];
		m += b[i];
	}
	for (unsigned i = RUN_BINS - 1; i > 0; i--)
		if (a[i] + b[i] < 10) {
			a[i - 1] += a[i];
			b[i - 1] += b[i];
			a[i] = b[i] = 0;
		}
	for (unsigned i = 0; i < RUN_BINS; i++) {
		if (a[i] + b[i] > 0) {
			double expected = (a[i] + b[i]) * n / (n + m);

			sum += (a[i] - expected) * (a[i] - expected) / expected;
			expected = (a[i] + b[i]) * m / (n + m);
			sum += (b[i] - expected) * (b[i] - expected) / expected;
			bins++;
		}
		printf("  runs of %u: %.0f and %.0f\n", i + 1, a[i], b[i]);
	}
	if (verdict("chi-square of runs", sum, most[bins ? bins - 1 : 0], theirs, ours))
		return 1;
	return test_shares("difference of loss, in deviations", spread,
			   theirs->sent - theirs->count, theirs->sent, ours->sent - ours->count,
			   ours->sent, theirs, ours);
}

/* Packets that come at once pass by those that are delayed. */
static double count_early(const struct sample *sample)
{
	double early = 0;

	for (unsigned i = 0; i < sample->count; i++)
		early += sample->list[i].delay < 1e9;
	return early;
}

/* How long all of them took, by the first and the last. */
static int test_rate(struct sample *theirs, struct sample *ours)
{
	double took[2];
	struct sample *samples[] = { theirs, ours };

	for (unsigned i = 0; i < 2; i++) {
		qsort(samples[i]->list, samples[i]->count, sizeof(*theirs->list), by_time);
		took[i] = (double)(samples[i]->list[samples[i]->count - 1].at -
				   samples[i]->list[0].at);
	}
	printf("  %.3f ms and %.3f ms\n", took[0] / 1e6, took[1] / 1e6);
	return verdict("difference of rates", fabs(took[0] / took[1] - 1), 0.05, theirs, ours);
}

static int judge(const char *folder, const char *text, const char *test, char **words)
{
	struct sample theirs, ours;
	struct link_model model = read_model(words);
	struct pair pair = { 0 };

	read_pair(&pair, text);
	theirs = read_netem(folder, &pair);
	ours = draw_ours(&pair, &model, pair.count < AT_ONCE ? 0 : GAP_NS);
	if (!theirs.count) {
		fprintf(stderr, "link_netem: %s: nothing came\n", pair.name);
		return 1;
	}
	if (!strcmp(test, "delay"))
		return test_delay(&theirs, &ours);
	if (!strcmp(test, "loss"))
		return test_loss(&theirs, &ours, spread_of(&model));
	if (!strcmp(test, "duplicate"))
		return test_shares("difference of duplicates, in deviations", 1,
				   theirs.count - theirs.sent, theirs.sent, ours.count - ours.sent,
				   ours.sent, &theirs, &ours);
	if (!strcmp(test, "reorder"))
		return test_shares("difference of what passes by, in deviations", 1,
				   count_early(&theirs), theirs.sent, count_early(&ours), ours.sent,
				   &theirs, &ours);
	if (!strcmp(test, "rate"))
		return test_rate(&theirs, &ours);
	if (!strcmp(test, "count"))
		return verdict("difference of counts",
			       fabs((double)theirs.count - (double)ours.count), 1, &theirs, &ours);
	fprintf(stderr, "link_netem: %s: expected delay, loss, duplicate, reorder, rate or count\n",
		test);
	return 2;
}

/* Our sample, as probe writes theirs. */
static int draw(const char *text, char **words)
{
	struct link_model model = read_model(words);
	struct pair pair = { 0 };
	struct sample ours;

	read_pair(&pair, text);
	ours = draw_ours(&pair, &model, GAP_NS);
	for (unsigned i = 0; i < ours.count; i++)
		printf("%u %.0f %" PRIu64 "\n", ours.list[i].number, ours.list[i].delay,
		       ours.list[i].at);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 3 && argc - 3 <= PAIRS_MOST && !strcmp(argv[1], "probe"))
		return probe(argv[2], 0, argv + 3, (unsigned)argc - 3);
	if (argc > 4 && argc - 4 <= PAIRS_MOST && !strcmp(argv[1], "pace") && atoi(argv[3]) > 0)
		return probe(argv[2], (uint64_t)atoi(argv[3]) * 1000, argv + 4, (unsigned)argc - 4);
	if (argc > 5 && !strcmp(argv[1], "judge"))
		return judge(argv[2], argv[3], argv[4], argv + 5);
	if (argc > 3 && !strcmp(argv[1], "draw"))
		return draw(argv[2], argv + 3);
	fprintf(stderr, "usage: link_netem probe RESULT PAIR...\n"
			"       link_netem pace RESULT GAP_US PAIR...\n"
			"       link_netem judge RESULT PAIR TEST WORD...\n"
			"       link_netem draw PAIR WORD...\n");
	return 2;
}
