-- /etc/slurm/job_submit.lua: gives a job with --cdm=POOL:SIZE the same amount of GRES `cdm` of that type on each node. A
-- count that the user has set stays: the plugin refuses a larger --cdm.

local option = "^_SLURM_SPANK_OPTION_cdm_cdm=([^:]+):(%d+%.?%d*)([KMGTP]?)"
-- Slurm 22.05 writes gres:NAME here, and 24.11 takes nothing but gres/NAME. That has this constant, and the other has not.
local prefix = slurm.GRES_ALLOW_TASK_SHARING and "gres/" or "gres:"
local powers = { K = 1, M = 2, G = 3, T = 4, P = 5 }

local function count_cdm(job)
        for _, word in pairs(job.spank_job_env or {}) do
                local pool, number, suffix = word:match(option)
                if pool then
                        local bytes = tonumber(number) * 1024 ^ (powers[suffix] or 0)
                        return string.format("cdm:%s:%.0f", pool, math.floor(bytes))
                end
        end
end

local function add_gres(job)
        local has = job.tres_per_node or ""
        local count = count_cdm(job)
        if count and not has:find("cdm[:=]") then
                job.tres_per_node = (has == "" and "" or has .. ",") .. prefix .. count
        end
end

function slurm_job_submit(job, partitions, uid)
        add_gres(job)
        return slurm.SUCCESS
end

function slurm_job_modify(job, record, partitions, uid)
        return slurm.SUCCESS
end

return slurm.SUCCESS
