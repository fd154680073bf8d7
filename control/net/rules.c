/* SPDX-License-Identifier: BSD-3-Clause
 * Policy rules, as they apply to packets of ours: from our address and port, of UDP,
 * without a TOS or a mark, made on this host.
 */
#include <netinet/in.h>

#include <linux/fib_rules.h>

#include "control/base/log.h"
#include "control/net/router_part.h"

enum applies { APPLIES_NEVER, APPLIES_ALWAYS, APPLIES_BY_TARGET, APPLIES_UNKNOWN };

/* Do the selectors say yes to our packets, as far as they are not about the target? */
static bool selectors_match(const struct netlink_rule *rule, const struct addr *from)
{
	uint16_t port = get16(from->port);

	return (rule->from.bits == 0 || prefix_has(&rule->from, from->type, from->ip)) &&
	       (!rule->has_iif || rule->iif_lo) && !rule->has_oif && rule->tos == 0 &&
	       (rule->mark & rule->mark_mask) == 0 &&
	       (rule->protocol == 0 || rule->protocol == IPPROTO_UDP) &&
	       (rule->port_high == 0 || (port >= rule->port_low && port <= rule->port_high));
}

static enum applies rule_applies(const struct netlink_rule *rule, const struct addr *from)
{
	bool match = selectors_match(rule, from);

	if (!match)
		return rule->invert ? APPLIES_ALWAYS : APPLIES_NEVER;
	if (rule->unknown || (rule->invert && rule->to.bits > 0))
		return APPLIES_UNKNOWN;
	if (rule->invert)
		return APPLIES_NEVER;
	return rule->to.bits > 0 ? APPLIES_BY_TARGET : APPLIES_ALWAYS;
}

static void leave_out(struct chain *c, const struct netlink_rule *rule, const char *selector)
{
	if (c->left_out < CHAIN_LEFT_OUT) {
		c->out[c->left_out].priority = rule->priority;
		c->out[c->left_out].selector = selector;
	}
	c->left_out++;
}

static void step_add(struct chain *c, const struct netlink_rule *rule, enum applies applies)
{
	struct step *s = &c->step[c->n];

	if (c->n == CHAIN_STEPS) {
		leave_out(c, rule, "that comes after too many others");
		return;
	}
	s->table = rule->table;
	s->refuse = rule->action != FR_ACT_TO_TBL;
	s->suppress = rule->suppress;
	s->to = (struct prefix){.type = rule->type};
	if (applies == APPLIES_BY_TARGET)
		s->to = rule->to;
	c->n++;
}

void chain_add(struct chain *c, const struct netlink_rule *rule, const struct addr *from)
{
	enum applies applies = rule_applies(rule, from);

	if (rule->priority < c->skip_to || applies == APPLIES_NEVER)
		return;
	switch (rule->action) {
	case FR_ACT_NOP:
		return;
	case FR_ACT_GOTO:
		if (applies == APPLIES_ALWAYS)
			c->skip_to = rule->go_to;
		else
			leave_out(c, rule, "goto");
		return;
	case FR_ACT_TO_TBL:
	case FR_ACT_BLACKHOLE:
	case FR_ACT_UNREACHABLE:
	case FR_ACT_PROHIBIT:
		break;
	default:
		applies = APPLIES_UNKNOWN;
	}
	if (applies == APPLIES_UNKNOWN)
		leave_out(c, rule, rule->unknown ? rule->unknown : "not to");
	else
		step_add(c, rule, applies);
}

bool chain_wants(const struct chain *c, uint32_t table)
{
	for (unsigned int i = 0; i < c->n; i++)
		if (!c->step[i].refuse && c->step[i].table == table)
			return true;
	return false;
}

void chain_log(const struct chain *old, const struct chain *c, uint8_t type)
{
	if (old->left_out == c->left_out && memcmp(old->out, c->out, sizeof(c->out)) == 0)
		return;
	for (unsigned int i = 0; i < c->left_out && i < CHAIN_LEFT_OUT; i++)
		log_line(LOG_WARNING,
			 "warning: ip %srule %u is not followed: its selector (%s) is none that "
			 "the relay can tell; what it sends goes by the other rules",
			 type == ADDR_IP6 ? "-6 " : "", c->out[i].priority, c->out[i].selector);
	if (c->left_out > CHAIN_LEFT_OUT)
		log_line(LOG_WARNING, "warning: nor are %u other rules",
			 c->left_out - CHAIN_LEFT_OUT);
}
