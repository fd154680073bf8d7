-- SPDX-License-Identifier: BSD-3-Clause
-- What the way takes, by Pktgen's own probes: at ONCEWIRE_RATE percent of the link (1), for
-- ONCEWIRE_SECONDS (3). The far end must send them back as testpmd's 5tswap does: a relay
-- answers requests, and Pktgen can time no request. What those take is bench/loop's to say.

local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local common = dofile(folder .. "common.lua")

common.run(function()
	local seconds = common.number("ONCEWIRE_SECONDS", 3)
	local rate = common.number("ONCEWIRE_RATE", 1)

	pktgen.latency(common.port, "rate", 1000) -- microseconds from one to the next
	pktgen.latency(common.port, "enable")
	local sent, received = common.send(rate, seconds)
	local of = pktgen.pktStats(common.port)[0].latency

	common.say("latency", {
		rate = rate,
		sent = sent,
		received = received,
		probes = of.num_pkts,
		min_us = of.min_us,
		avg_us = of.avg_us,
		max_us = of.max_us,
	})
end)
