-- What is refused when it is submitted, with the reason.
function slurm_job_submit(job_desc, part_list, submit_uid)
   if job_desc.user_id < 1000 or submit_uid < 1000 and submit_uid ~= 0 then
      slurm.log_user("Jobs are for people: uid %u is below 1000.", job_desc.user_id)
      return slurm.ERROR
   end
   return slurm.SUCCESS
end

function slurm_job_modify(job_desc, job_rec, part_list, modify_uid)
   return slurm.SUCCESS
end

return slurm.SUCCESS
