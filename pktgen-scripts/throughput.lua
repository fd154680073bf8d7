-- SPDX-License-Identifier: BSD-3-Clause
-- How many requests of a capture are answered a second, sent at one rate: ONCEWIRE_RATE, a
-- percentage (100), for ONCEWIRE_SECONDS (3).

local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local common = dofile(folder .. "common.lua")

common.run(function()
	local seconds = common.number("ONCEWIRE_SECONDS", 3)
	local rate = common.number("ONCEWIRE_RATE", 100)

	common.pcap()
	local sent, received = common.send(rate, seconds)

	common.say("throughput", {
		rate = rate,
		seconds = seconds,
		sent = sent,
		received = received,
	})
end)
