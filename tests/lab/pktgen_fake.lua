-- SPDX-License-Identifier: BSD-3-Clause
-- Stands in for Pktgen-DPDK: a link of 1000 packets a millisecond to a server that answers at
-- most FAKE_CAPACITY of them, each with FAKE_ANSWERS frames. Then runs the script in arg[1].

local capacity = tonumber(os.getenv("FAKE_CAPACITY"))
local answers = tonumber(os.getenv("FAKE_ANSWERS") or 1)
local rate, sending, enabled = 100, false, false
local sent, received = 5, 3 -- what went before does not count

local function note(...)
	io.stderr:write(table.concat({...}, " ") .. "\n")
end

pktgen = {
	screen = function(state) assert(state == "off") end,
	pcap = function(port, state)
		assert(port == "0")
		enabled = state == "enable"
	end,
	set = function(_, what, value)
		note("set", what, value)
		if what == "rate" then
			assert(value > 0 and value <= 100)
			rate = value
		end
	end,
	start = function() sending = true end,
	stop = function() sending = false end,
	delay = function(ms)
		assert(math.type(ms) == "integer")
		if sending then
			assert(enabled or os.getenv("FAKE_PROBES"))
			sent = sent + math.floor(10 * rate * ms)
			received = received + answers * math.floor(math.min(10 * rate, capacity) * ms)
		end
	end,
	portStats = function(port, of)
		if os.getenv("FAKE_BROKEN") then
			error("no such port")
		end
		assert(port == "0" and of == "port")
		return {[0] = {opackets = sent, ipackets = received}, n = 1}
	end,
	pktStats = function()
		return {[0] = {latency = {num_pkts = 7, min_us = 1.5, avg_us = 2.25, max_us = 9}}, n = 1}
	end,
	latency = function(_, what, value) note("latency", what, value or "") end,
	quit = function() note("quit") end,
}

dofile(arg[1])
