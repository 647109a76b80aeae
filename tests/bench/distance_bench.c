/* SPDX-License-Identifier: BSD-2-Clause */
/* How many cycles of the time-stamp counter a cache line takes from processor 0 to processor 1 and back: a host may move them. */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <x86intrin.h>

#define RUNS 41

static void pin(unsigned processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set))
		fprintf(stderr, "distance_bench: there is no processor %u\n", processor);
}

static int compare(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;

	return difference < 0 ? -1 : difference > 0;
}

#define TRIPS 2000

static _Alignas(64) unsigned ball;

static void *return_ball(void *arg)
{
	(void)arg;
	for (unsigned i = 1; i < 2 * TRIPS * RUNS; i += 2) {
		while (__atomic_load_n(&ball, __ATOMIC_ACQUIRE) != i)
			;
		__atomic_store_n(&ball, i + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

int main(void)
{
	double cycles[RUNS];
	pthread_t thread;
	unsigned next = 0;

	pin(0);
	if (pthread_create(&thread, NULL, return_ball, NULL))
		return 1;
	pin(1);
	for (unsigned run = 0; run < RUNS; run++) {
		uint64_t from = __rdtsc();

		for (unsigned i = 0; i < TRIPS; i++, next += 2) {
			__atomic_store_n(&ball, next + 1, __ATOMIC_RELEASE);
			while (__atomic_load_n(&ball, __ATOMIC_ACQUIRE) != next + 2)
				;
		}
		cycles[run] = (double)(__rdtsc() - from) / TRIPS;
	}
	pthread_join(thread, NULL);
	qsort(cycles, RUNS, sizeof(cycles[0]), compare);
	printf("%.0f\n", cycles[0]);
	return 0;
}
