-- SPDX-License-Identifier: BSD-3-Clause
-- What the scripts for Pktgen-DPDK have in common. They take their parameters from the
-- environment, and say what they find in lines that begin with "oncewire:", which
-- pktgen-scripts/run reads: a word, then name=value.

local common = {port = "0"}

function common.number(name, default)
	local value = os.getenv(name)
	local number = tonumber(value or default)

	if not number then
		error(name .. "=" .. value .. " is no number")
	end
	return number
end

function common.say(word, fields)
	local names, line = {}, {"oncewire: " .. word}

	for name in pairs(fields) do
		names[#names + 1] = name
	end
	table.sort(names)
	for _, name in ipairs(names) do
		line[#line + 1] = name .. "=" .. tostring(fields[name])
	end
	io.write("\n" .. table.concat(line, " ") .. "\n")
	io.flush()
end

-- Packets sent and received so far.
function common.counters()
	local of = pktgen.portStats(common.port, "port")[0]

	return of.opackets, of.ipackets
end

-- Sends the capture, over and over, at a percentage of the link's nominal rate. Once all
-- that will come has come: sent, received.
function common.send(rate, seconds)
	local sent, received = common.counters()
	local sent_after, received_after

	pktgen.set(common.port, "rate", rate)
	pktgen.start(common.port)
	pktgen.delay(math.floor(seconds * 1000))
	pktgen.stop(common.port)
	pktgen.delay(math.floor(common.number("ONCEWIRE_SETTLE", 1.5) * 1000))
	sent_after, received_after = common.counters()
	return sent_after - sent, received_after - received
end

-- Runs a script's work from the moment that the capture is good from, and ends Pktgen,
-- however the work ends.
function common.run(work)
	local start = common.number("ONCEWIRE_START", 0)

	pktgen.screen("off")
	while os.time() < start do
		pktgen.delay(20)
	end
	local ok, why = pcall(work)

	if not ok then
		common.say("failed", {why = tostring(why):gsub("%s+", "_")})
	end
	pktgen.stop(common.port)
	pktgen.quit()
end

function common.pcap()
	pktgen.set(common.port, "count", 0) -- until it is stopped
	pktgen.set(common.port, "burst", common.number("ONCEWIRE_BURST", 32))
	pktgen.pcap(common.port, "enable")
end

return common
