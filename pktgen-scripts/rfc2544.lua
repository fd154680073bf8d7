-- SPDX-License-Identifier: BSD-3-Clause
-- The highest rate at which every request of a capture is answered (RFC 2544, section 26.1),
-- by halving: ONCEWIRE_TRIALS (8) of ONCEWIRE_SECONDS (1) each. A request has ONCEWIRE_ANSWERS
-- (1) frames in answer, and of a million ONCEWIRE_LOSS (0) may be lost.

local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local common = dofile(folder .. "common.lua")

common.run(function()
	local seconds = common.number("ONCEWIRE_SECONDS", 1)
	local answers = common.number("ONCEWIRE_ANSWERS", 1)
	local allowed = common.number("ONCEWIRE_LOSS", 0) / 1e6
	local low, high, rate = 0, 100, 100
	local best = 0

	common.pcap()
	for number = 1, common.number("ONCEWIRE_TRIALS", 8) do
		local sent, received = common.send(rate, seconds)
		local lost = sent * answers - received

		common.say("trial", {
			number = number,
			rate = rate,
			sent = sent,
			received = received,
			lost = lost,
		})
		if sent > 0 and lost <= sent * answers * allowed then
			low = rate
			best = math.max(best, sent / seconds)
			if rate == 100 then
				break
			end
		else
			high = rate
		end
		rate = (low + high) / 2
	end
	common.say("rfc2544", {rate = low, per_second = math.floor(best)})
end)
