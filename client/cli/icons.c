/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/icons.h"
#include "client/lib/oncewire.h"
#include "client/cli/progress.h"

#define ART_LINES 7
#define ART_WIDTH 20
#define CARD_MOST 48 /* an IPv6 address with a port */
#define CARD_LEAST 22
#define ESCAPE_MS 100 /* what belongs to an escape sequence follows sooner */

#define KEY_ESCAPE 0x1b
#define KEY_CTRL_C 0x03
#define KEY_CTRL_D 0x04

/* A house with one server in it; three racks in a row. ART_WIDTH columns each. */
static const char *const art_utf8[2][ART_LINES] = {
	{
		"        ▗▟▙▖        ",
		"      ▗▟█▀▀█▙▖      ",
		"    ▗▟█▀    ▀█▙▖    ",
		"    ▀█ ┌────┐ █▀    ",
		"     █ │▪▪ ●│ █     ",
		"     █ │▪▪ ●│ █     ",
		"     ▀▀▀▀▀▀▀▀▀▀     ",
	},
	{
		"┌────┐ ┌────┐ ┌────┐",
		"│▪▪ ●│ │▪▪ ●│ │▪▪ ●│",
		"├────┤ ├────┤ ├────┤",
		"│▪▪ ●│ │▪▪ ●│ │▪▪ ●│",
		"├────┤ ├────┤ ├────┤",
		"│▪▪ ●│ │▪▪ ●│ │▪▪ ●│",
		"└────┘ └────┘ └────┘",
	},
};
static const char *const art_ascii[2][ART_LINES] = {
	{
		"         /\\         ",
		"       /    \\       ",
		"     /        \\     ",
		"    /| +----+ |\\    ",
		"     | |:: o| |     ",
		"     | |:: o| |     ",
		"     +--------+     ",
	},
	{
		"+----+ +----+ +----+",
		"|:: o| |:: o| |:: o|",
		"+----+ +----+ +----+",
		"|:: o| |:: o| |:: o|",
		"+----+ +----+ +----+",
		"|:: o| |:: o| |:: o|",
		"+----+ +----+ +----+",
	},
};
static const char *const labels[2] = {"1  private server", "2  central server"};

/* ---- keys ---- */

static bool usable(const struct icons *i, uint8_t which)
{
	return i->address[which][0] != '\0';
}

void icons_init(struct icons *i, const char *private_address, const char *central_address)
{
	*i = (struct icons){.address = {private_address, central_address}};
	i->at = usable(i, 0) ? 0 : 1;
}

static enum icons_action move_to(struct icons *i, uint8_t which)
{
	if (!usable(i, which))
		return ICONS_BELL;
	if (i->at == which)
		return ICONS_NONE;
	i->at = which;
	return ICONS_MOVED;
}

/* The last byte of ESC [ x, or of ESC O x from a keypad in application mode. */
static enum icons_action arrow_key(struct icons *i, uint8_t byte)
{
	switch (byte) {
	case 'A': /* up */
	case 'D': /* left */
		return move_to(i, 0);
	case 'B': /* down */
	case 'C': /* right */
		return move_to(i, 1);
	default:
		return ICONS_NONE;
	}
}

enum icons_action icons_key(struct icons *i, uint8_t byte)
{
	if (i->escape == 1) {
		i->escape = byte == '[' || byte == 'O' ? 2 : 0;
		return byte == KEY_ESCAPE ? ICONS_CANCELLED : ICONS_NONE;
	}
	if (i->escape == 2) {
		if (byte >= 0x40 && byte <= 0x7e) /* ends the sequence */
			i->escape = 0;
		return i->escape == 0 ? arrow_key(i, byte) : ICONS_NONE;
	}
	switch (byte) {
	case KEY_ESCAPE:
		i->escape = 1;
		return ICONS_NONE;
	case '1':
	case '2':
		return move_to(i, byte - '1') == ICONS_BELL ? ICONS_BELL : ICONS_CHOSEN;
	case '\t':
		return move_to(i, i->at ^ 1);
	case '\r':
	case '\n':
		return ICONS_CHOSEN;
	case 'q':
	case 'Q':
	case KEY_CTRL_C:
	case KEY_CTRL_D:
		return ICONS_CANCELLED;
	default:
		return ICONS_NONE;
	}
}

enum icons_action icons_pause(struct icons *i)
{
	bool alone = i->escape == 1;

	i->escape = 0;
	return alone ? ICONS_CANCELLED : ICONS_NONE;
}

/* ---- the picture ---- */

struct border {
	const char *left_top, *right_top, *left_bottom, *right_bottom, *across, *down;
};

struct style {
	const char *begin, *end; /* colour */
	struct border border;
};

static struct style style_of(const struct icons *i, uint8_t which, bool utf8, bool colour)
{
	static const struct border thin = {"╭", "╮", "╰", "╯", "─", "│"};
	static const struct border thick = {"╔", "╗", "╚", "╝", "═", "║"};
	static const struct border plain = {"+", "+", "+", "+", "-", "|"};
	static const struct border bold = {"#", "#", "#", "#", "#", "#"};
	struct style s = {"", "", thin};

	if (i->at == which)
		s.border = utf8 ? thick : bold;
	else if (!utf8)
		s.border = plain;
	if (!colour)
		return s;
	s.end = "\033[0m";
	if (i->at == which)
		s.begin = "\033[1;36m";
	else
		s.begin = usable(i, which) ? "\033[0m" : "\033[90m";
	return s;
}

static void add(char *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(char *line, const char *format, ...)
{
	size_t len = strlen(line);
	va_list args;

	va_start(args, format);
	vsnprintf(line + len, ICONS_LINE_MAX - len, format, args);
	va_end(args);
}

/* One line of a card: text of `columns` columns in the middle of `inner`. */
static void card_text(char *line, const struct style *s, const char *text, int columns, int inner)
{
	int before = (inner - columns) / 2;

	add(line, "%s%s%*s%s%*s%s%s", s->begin, s->border.down, before, "", text,
	    inner - columns - before, "", s->border.down, s->end);
}

static void card_edge(char *line, const struct style *s, bool top, int inner)
{
	int n;

	add(line, "%s%s", s->begin, top ? s->border.left_top : s->border.left_bottom);
	for (n = 0; n < inner; n++)
		add(line, "%s", s->border.across);
	add(line, "%s%s", top ? s->border.right_top : s->border.right_bottom, s->end);
}

/* The address, shortened in its middle if it is wider than the card. */
static void card_address(char *line, const struct style *s, const char *address, int inner)
{
	char text[64];
	int len = (int)strlen(address), half = (inner - 2) / 2;

	if (len == 0)
		snprintf(text, sizeof(text), "not configured");
	else if (len <= inner)
		snprintf(text, sizeof(text), "%s", address);
	else
		snprintf(text, sizeof(text), "%.*s..%s", half, address, address + len - half);
	card_text(line, s, text, (int)strlen(text), inner);
}

static void card_draw(const struct icons *i, uint8_t which, int inner, bool utf8, bool colour,
		      char lines[ICONS_LINES][ICONS_LINE_MAX])
{
	struct style s = style_of(i, which, utf8, colour);
	const char *const *art = utf8 ? art_utf8[which] : art_ascii[which];
	int n;

	card_edge(lines[1], &s, true, inner);
	for (n = 0; n < ART_LINES; n++)
		card_text(lines[2 + n], &s, art[n], ART_WIDTH, inner);
	card_text(lines[2 + ART_LINES], &s, labels[which], (int)strlen(labels[which]), inner);
	card_address(lines[3 + ART_LINES], &s, i->address[which], inner);
	card_edge(lines[4 + ART_LINES], &s, false, inner);
}

/* Where two cards have no room beside each other: a row each. */
static void rows_draw(const struct icons *i, int width, char lines[ICONS_LINES][ICONS_LINE_MAX])
{
	const int room = width > 1 ? width - 1 : 0;
	int n;

	for (n = 0; n < ICONS_LINES; n++)
		lines[n][0] = '\0';
	snprintf(lines[0], ICONS_LINE_MAX, "%.*s", room, "Send through which server?");
	for (n = 0; n < 2; n++) {
		char row[ICONS_LINE_MAX];

		snprintf(row, sizeof(row), "%c %s", i->at == n ? '>' : ' ', labels[n]);
		snprintf(lines[1 + 2 * n], ICONS_LINE_MAX, "%.*s", room, row);
		snprintf(row, sizeof(row), "     %s",
			 usable(i, (uint8_t)n) ? i->address[n] : "not configured");
		snprintf(lines[2 + 2 * n], ICONS_LINE_MAX, "%.*s", room, row);
	}
	snprintf(lines[ICONS_LINES - 1], ICONS_LINE_MAX, "%.*s", room,
		 "1 2 Tab: choose, Enter: send, q: leave");
}

void icons_draw(const struct icons *i, int width, bool utf8, bool colour,
		char lines[ICONS_LINES][ICONS_LINE_MAX])
{
	int inner = CARD_LEAST, widest = (width - 1 - 2 * 2 - 2 - 2) / 2, n;

	if (widest < CARD_LEAST) {
		rows_draw(i, width, lines);
		return;
	}
	for (n = 0; n < 2; n++)
		if ((int)strlen(i->address[n]) > inner)
			inner = (int)strlen(i->address[n]);
	if (inner > CARD_MOST)
		inner = CARD_MOST;
	if (inner > widest)
		inner = widest;
	for (n = 0; n < ICONS_LINES; n++)
		snprintf(lines[n], ICONS_LINE_MAX, "%s", n == 0 ? "" : "  ");
	add(lines[0], "Send through which server?");
	card_draw(i, 0, inner, utf8, colour, lines);
	for (n = 1; n < ICONS_LINES; n++)
		add(lines[n], "  ");
	card_draw(i, 1, inner, utf8, colour, lines);
	add(lines[ICONS_LINES - 1], utf8 ? "← → or 1 2 to choose, Enter to send, q to leave"
					 : "arrows or 1 2 to choose, Enter to send, q to leave");
}

/* ---- the terminal ---- */

static volatile sig_atomic_t caught;

static void signal_note(int number)
{
	if (number != SIGWINCH)
		caught = number;
}

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH};
#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

struct terminal {
	struct termios before;
	struct sigaction actions[SIGNALS];
	sigset_t mask; /* as it was: signals come only while we wait */
	bool moves;    /* can move the cursor */
	bool colour;
	bool drawn;
};

/* Signals are kept from coming outside ppoll(), so that none is missed. */
static void terminal_enter(struct terminal *t)
{
	struct sigaction note = {.sa_handler = signal_note};
	const char *term = getenv("TERM");
	struct termios raw;
	sigset_t ours;
	size_t n;

	t->moves = term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;
	t->colour = t->moves && getenv("NO_COLOR") == NULL;
	t->drawn = false;
	caught = 0;
	sigemptyset(&ours);
	for (n = 0; n < SIGNALS; n++)
		sigaddset(&ours, signals[n]);
	sigprocmask(SIG_BLOCK, &ours, &t->mask);
	for (n = 0; n < SIGNALS; n++)
		sigaction(signals[n], &note, &t->actions[n]);
	tcgetattr(STDIN_FILENO, &t->before);
	raw = t->before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	if (t->moves)
		fputs("\033[?25l", stderr);
}

static void terminal_erase(struct terminal *t)
{
	if (t->moves && t->drawn)
		fprintf(stderr, "\033[%dA\r\033[J", ICONS_LINES);
	t->drawn = false;
}

static void terminal_leave(struct terminal *t)
{
	size_t n;

	terminal_erase(t);
	if (t->moves)
		fputs("\033[?25h", stderr);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &t->before);
	for (n = 0; n < SIGNALS; n++)
		sigaction(signals[n], &t->actions[n], NULL);
	if (caught != 0)
		raise(caught); /* blocked until the next line */
	sigprocmask(SIG_SETMASK, &t->mask, NULL);
}

static void terminal_draw(struct terminal *t, const struct icons *i)
{
	char lines[ICONS_LINES][ICONS_LINE_MAX];
	int n;

	terminal_erase(t);
	icons_draw(i, terminal_width(), terminal_utf8(), t->colour, lines);
	for (n = 0; n < ICONS_LINES; n++)
		fprintf(stderr, "%s\n", lines[n]);
	t->drawn = true;
}

/* Waits for the keyboard and takes what it says. */
static enum icons_action terminal_read(struct terminal *t, struct icons *i)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	struct timespec pause = {0, ESCAPE_MS * 1000000L};
	uint8_t byte;
	int n;

	n = ppoll(&p, 1, i->escape != 0 ? &pause : NULL, &t->mask);
	if (n == 0)
		return icons_pause(i);
	if (n < 0)
		return caught != 0 || errno != EINTR ? ICONS_CANCELLED : ICONS_MOVED;
	if (read(STDIN_FILENO, &byte, 1) != 1)
		return ICONS_CANCELLED; /* the terminal is gone */
	return icons_key(i, byte);
}

int icons_choose(const char *private_address, const char *central_address)
{
	enum icons_action action = ICONS_MOVED;
	struct terminal t;
	struct icons i;

	icons_init(&i, private_address, central_address);
	terminal_enter(&t);
	while (action != ICONS_CHOSEN && action != ICONS_CANCELLED) {
		if (action == ICONS_MOVED)
			terminal_draw(&t, &i);
		if (action == ICONS_BELL)
			fputc('\a', stderr);
		action = terminal_read(&t, &i);
	}
	terminal_leave(&t);
	if (action == ICONS_CANCELLED)
		return 0;
	fprintf(stderr, "%s server %s\n", i.at == 0 ? "private" : "central", i.address[i.at]);
	return i.at == 0 ? OW_VIA_PRIVATE : OW_VIA_CENTRAL;
}
