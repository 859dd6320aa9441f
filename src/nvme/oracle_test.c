/* Sizes of structures, and the places and sizes of their members, against libnvme's headers. */
#include "nvme/oracle_test.h"

#include "base/cleanup.h"
#include "nvme/discovery.h"
#include "nvme/feature.h"
#include "nvme/identify_namespace.h"
#include "nvme/io_command.h"
#include "nvme/log_page.h"
#include "nvme/reservation.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A member, ours and theirs: its place and size. */
struct field {
	const char *name;
	size_t offset, bytes, their_offset, their_bytes;
};

/* clang-format off */
#define FIELD(ours, member, theirs, their_member)                                                  \
	{#ours "." #member, offsetof(struct ours, member), sizeof(((struct ours *)NULL)->member),  \
		offsetof(struct theirs, their_member),                                             \
		sizeof(((struct theirs *)NULL)->their_member)}
#define WHOLE(ours, theirs) {#ours, 0, sizeof(struct ours), 0, sizeof(struct theirs)}
/* clang-format on */

static void check_fields(const struct field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct field *field = &fields[i];

		if (field->offset != field->their_offset || field->bytes != field->their_bytes)
			fail_msg("%s: %zu bytes at %zu, libnvme %zu at %zu", field->name,
				field->bytes, field->offset, field->their_bytes,
				field->their_offset);
	}
}

#define CONTROLLER(member)  FIELD(nvme_identify_controller, member, nvme_id_ctrl, member)
#define POWER_STATE(member) FIELD(nvme_power_state, member, nvme_id_psd, member)
#define NAMESPACE(member)   FIELD(nvme_identify_namespace, member, nvme_id_ns, member)
#define INDEPENDENT(member) \
	FIELD(nvme_identify_independent_namespace, member, nvme_id_independent_id_ns, member)
#define LBA_FORMAT(ours, theirs) FIELD(nvme_lba_format, ours, nvme_lbaf, theirs)
#define NVM_NAMESPACE(member)    FIELD(nvme_identify_nvm_namespace, member, nvme_nvm_id_ns, member)

#define NVM_CONTROLLER(member) FIELD(nvme_identify_nvm_controller, member, nvme_id_ctrl_nvm, member)

#define CNTLIDS(ours, theirs) FIELD(nvme_controller_list, ours, nvme_ctrl_list, theirs)
#define DESCRIPTOR(member)    FIELD(nvme_namespace_descriptor, member, nvme_ns_id_desc, member)

static const struct field identify_fields[] = {WHOLE(nvme_identify_controller, nvme_id_ctrl),
	CONTROLLER(vid), CONTROLLER(ssvid), CONTROLLER(sn), CONTROLLER(mn), CONTROLLER(fr),
	CONTROLLER(rab), CONTROLLER(ieee), CONTROLLER(cmic), CONTROLLER(mdts), CONTROLLER(cntlid),
	CONTROLLER(ver), CONTROLLER(rtd3r), CONTROLLER(rtd3e), CONTROLLER(oaes), CONTROLLER(ctratt),
	CONTROLLER(rrls), CONTROLLER(cntrltype), CONTROLLER(fguid), CONTROLLER(crdt1),
	CONTROLLER(crdt2), CONTROLLER(crdt3), CONTROLLER(nvmsr), CONTROLLER(vwci), CONTROLLER(mec),
	CONTROLLER(oacs), CONTROLLER(acl), CONTROLLER(aerl), CONTROLLER(frmw), CONTROLLER(lpa),
	CONTROLLER(elpe), CONTROLLER(npss), CONTROLLER(avscc), CONTROLLER(apsta),
	CONTROLLER(wctemp), CONTROLLER(cctemp), CONTROLLER(mtfa), CONTROLLER(hmpre),
	CONTROLLER(hmmin), CONTROLLER(tnvmcap), CONTROLLER(unvmcap), CONTROLLER(rpmbs),
	CONTROLLER(edstt), CONTROLLER(dsto), CONTROLLER(fwug), CONTROLLER(kas), CONTROLLER(hctma),
	CONTROLLER(mntmt), CONTROLLER(mxtmt), CONTROLLER(sanicap), CONTROLLER(hmminds),
	CONTROLLER(hmmaxd), CONTROLLER(nsetidmax), CONTROLLER(endgidmax), CONTROLLER(anatt),
	CONTROLLER(anacap), CONTROLLER(anagrpmax), CONTROLLER(nanagrpid), CONTROLLER(pels),
	CONTROLLER(domainid), CONTROLLER(megcap), CONTROLLER(sqes), CONTROLLER(cqes),
	CONTROLLER(maxcmd), CONTROLLER(nn), CONTROLLER(oncs), CONTROLLER(fuses), CONTROLLER(fna),
	CONTROLLER(vwc), CONTROLLER(awun), CONTROLLER(awupf), CONTROLLER(icsvscc), CONTROLLER(nwpc),
	CONTROLLER(acwu), CONTROLLER(ocfs), CONTROLLER(sgls), CONTROLLER(mnan), CONTROLLER(maxdna),
	CONTROLLER(maxcna), CONTROLLER(subnqn), CONTROLLER(ioccsz), CONTROLLER(iorcsz),
	CONTROLLER(icdoff), CONTROLLER(fcatt), CONTROLLER(msdbd), CONTROLLER(ofcs),
	CONTROLLER(dctype), CONTROLLER(psd),
	FIELD(nvme_identify_controller, vendor, nvme_id_ctrl, vs),
	WHOLE(nvme_power_state, nvme_id_psd), POWER_STATE(mp), POWER_STATE(flags),
	POWER_STATE(enlat), POWER_STATE(exlat), POWER_STATE(rrt), POWER_STATE(rrl),
	POWER_STATE(rwt), POWER_STATE(rwl), POWER_STATE(idlp), POWER_STATE(ips), POWER_STATE(actp),
	POWER_STATE(apws), WHOLE(nvme_identify_namespace, nvme_id_ns), NAMESPACE(nsze),
	NAMESPACE(ncap), NAMESPACE(nuse), NAMESPACE(nsfeat), NAMESPACE(nlbaf), NAMESPACE(flbas),
	NAMESPACE(mc), NAMESPACE(dpc), NAMESPACE(dps), NAMESPACE(nmic), NAMESPACE(rescap),
	NAMESPACE(fpi), NAMESPACE(dlfeat), NAMESPACE(nawun), NAMESPACE(nawupf), NAMESPACE(nacwu),
	NAMESPACE(nabsn), NAMESPACE(nabo), NAMESPACE(nabspf), NAMESPACE(noiob), NAMESPACE(nvmcap),
	NAMESPACE(npwg), NAMESPACE(npwa), NAMESPACE(npdg), NAMESPACE(npda), NAMESPACE(nows),
	NAMESPACE(mssrl), NAMESPACE(mcl), NAMESPACE(msrc), NAMESPACE(anagrpid), NAMESPACE(nsattr),
	NAMESPACE(nvmsetid), NAMESPACE(endgid), NAMESPACE(nguid), NAMESPACE(eui64), NAMESPACE(lbaf),
	WHOLE(nvme_identify_independent_namespace, nvme_id_independent_id_ns), INDEPENDENT(nsfeat),
	INDEPENDENT(nmic), INDEPENDENT(rescap), INDEPENDENT(fpi), INDEPENDENT(anagrpid),
	INDEPENDENT(nsattr), INDEPENDENT(nvmsetid), INDEPENDENT(endgid), INDEPENDENT(nstat),
	WHOLE(nvme_lba_format, nvme_lbaf), LBA_FORMAT(ms, ms), LBA_FORMAT(lbads, ds),
	LBA_FORMAT(rp, rp), WHOLE(nvme_identify_nvm_namespace, nvme_nvm_id_ns),
	NVM_NAMESPACE(lbstm), NVM_NAMESPACE(pic), NVM_NAMESPACE(elbaf),
	WHOLE(nvme_identify_nvm_controller, nvme_id_ctrl_nvm), NVM_CONTROLLER(vsl),
	NVM_CONTROLLER(wzsl), NVM_CONTROLLER(wusl), NVM_CONTROLLER(dmrl), NVM_CONTROLLER(dmrsl),
	NVM_CONTROLLER(dmsl), WHOLE(nvme_command_set_combinations, nvme_id_iocs),
	WHOLE(nvme_nsid_list, nvme_ns_list), WHOLE(nvme_controller_list, nvme_ctrl_list),
	CNTLIDS(count, num), CNTLIDS(cntlid, identifier),
	WHOLE(nvme_namespace_descriptor, nvme_ns_id_desc), DESCRIPTOR(nidt), DESCRIPTOR(nidl)};

#define ERROR_LOG(ours, theirs) FIELD(nvme_log_error, ours, nvme_error_log_page, theirs)
#define SMART_LOG(ours, theirs) FIELD(nvme_log_smart, ours, nvme_smart_log, theirs)
#define SLOT(ours, theirs)      FIELD(nvme_log_firmware_slot, ours, nvme_firmware_slot, theirs)
#define EFFECTS(ours, theirs)   FIELD(nvme_log_effects, ours, nvme_cmd_effects_log, theirs)
#define ANA_LOG(ours, theirs)   FIELD(nvme_log_ana, ours, nvme_ana_log, theirs)
#define ANA_GROUP(ours, theirs) FIELD(nvme_ana_group, ours, nvme_ana_group_desc, theirs)

#define NOTICE(ours, theirs) FIELD(nvme_log_reservation, ours, nvme_resv_notification_log, theirs)
#define DISCOVERY(member)    FIELD(nvme_discovery_log, member, nvmf_discovery_log, member)
#define RECORD(ours, theirs) FIELD(nvme_discovery_record, ours, nvmf_disc_log_entry, theirs)

static const struct field log_fields[] = {WHOLE(nvme_log_supported, nvme_supported_log_pages),
	WHOLE(nvme_log_error, nvme_error_log_page), ERROR_LOG(error_count, error_count),
	ERROR_LOG(sqid, sqid), ERROR_LOG(cid, cmdid), ERROR_LOG(status, status_field),
	ERROR_LOG(location, parm_error_location), ERROR_LOG(lba, lba), ERROR_LOG(nsid, nsid),
	ERROR_LOG(vendor_page, vs), ERROR_LOG(trtype, trtype), ERROR_LOG(specific, cs),
	ERROR_LOG(transport_specific, trtype_spec_info), WHOLE(nvme_log_smart, nvme_smart_log),
	SMART_LOG(critical_warning, critical_warning), SMART_LOG(temperature, temperature),
	SMART_LOG(available_spare, avail_spare), SMART_LOG(available_spare_threshold, spare_thresh),
	SMART_LOG(percentage_used, percent_used),
	SMART_LOG(endurance_group_warning, endu_grp_crit_warn_sumry),
	SMART_LOG(data_units_read, data_units_read),
	SMART_LOG(data_units_written, data_units_written), SMART_LOG(host_reads, host_reads),
	SMART_LOG(host_writes, host_writes), SMART_LOG(busy_minutes, ctrl_busy_time),
	SMART_LOG(power_cycles, power_cycles), SMART_LOG(power_on_hours, power_on_hours),
	SMART_LOG(unsafe_shutdowns, unsafe_shutdowns), SMART_LOG(media_errors, media_errors),
	SMART_LOG(error_log_entries, num_err_log_entries),
	SMART_LOG(warning_temperature_minutes, warning_temp_time),
	SMART_LOG(critical_temperature_minutes, critical_comp_time),
	SMART_LOG(temperature_sensor, temp_sensor),
	SMART_LOG(thermal_transitions[0], thm_temp1_trans_count),
	SMART_LOG(thermal_seconds[0], thm_temp1_total_time),
	SMART_LOG(thermal_seconds[1], thm_temp2_total_time),
	WHOLE(nvme_log_firmware_slot, nvme_firmware_slot), SLOT(afi, afi), SLOT(frs, frs),
	WHOLE(nvme_log_effects, nvme_cmd_effects_log), EFFECTS(admin, acs), EFFECTS(io, iocs),
	WHOLE(nvme_log_feature_effects, nvme_fid_supported_effects_log),
	WHOLE(nvme_log_ana, nvme_ana_log), ANA_LOG(change_count, chgcnt),
	ANA_LOG(group_count, ngrps), WHOLE(nvme_ana_group, nvme_ana_group_desc),
	ANA_GROUP(anagrpid, grpid), ANA_GROUP(nsid_count, nnsids), ANA_GROUP(change_count, chgcnt),
	ANA_GROUP(state, state), WHOLE(nvme_log_reservation, nvme_resv_notification_log),
	NOTICE(count, lpc), NOTICE(type, rnlpt), NOTICE(available, nalp), NOTICE(nsid, nsid),
	WHOLE(nvme_discovery_log, nvmf_discovery_log), DISCOVERY(genctr), DISCOVERY(numrec),
	DISCOVERY(recfmt), WHOLE(nvme_discovery_record, nvmf_disc_log_entry),
	RECORD(trtype, trtype), RECORD(adrfam, adrfam), RECORD(subtype, subtype),
	RECORD(treq, treq), RECORD(portid, portid), RECORD(cntlid, cntlid), RECORD(asqsz, asqsz),
	RECORD(eflags, eflags), RECORD(trsvcid, trsvcid), RECORD(subnqn, subnqn),
	RECORD(traddr, traddr), RECORD(sectype, tsas.tcp.sectype)};

/* libnvme has the command as ioctl(2) takes it: alike but for the data pointer. */
#define COMMAND(ours, theirs)  FIELD(nvme_command, ours, nvme_passthru_cmd, theirs)
#define CONNECT(ours, theirs)  FIELD(nvme_connect_data, ours, nvmf_connect_data, theirs)
#define DSM(ours, theirs)      FIELD(nvme_dsm_range, ours, their_dsm_range, theirs)
#define COPY_RANGE(member)     FIELD(nvme_copy_range, member, their_copy_range, member)
#define TIME(ours, theirs)     FIELD(nvme_timestamp, ours, their_timestamp, theirs)
#define BEHAVIOR(ours, theirs) FIELD(nvme_host_behavior, ours, nvme_feat_host_behavior, theirs)
#define REGISTRANT(member)     FIELD(nvme_registrant, member, nvme_registered_ctrl, member)

#define EXTENDED(member) FIELD(nvme_registrant_extended, member, nvme_registered_ctrl_ext, member)

#define RESERVATION(member) FIELD(nvme_reservation_status, member, nvme_resv_status, member)

static const struct field command_fields[] = {COMMAND(opcode, opcode), COMMAND(flags, flags),
	COMMAND(cid, rsvd1), COMMAND(nsid, nsid), COMMAND(cdw2, cdw2), COMMAND(cdw3, cdw3),
	COMMAND(mptr, metadata), COMMAND(sgl.address, addr), COMMAND(cdw10, cdw10),
	COMMAND(cdw11, cdw11), COMMAND(cdw12, cdw12), COMMAND(cdw13, cdw13), COMMAND(cdw14, cdw14),
	COMMAND(cdw15, cdw15), WHOLE(nvme_connect_data, nvmf_connect_data), CONNECT(hostid, hostid),
	CONNECT(cntlid, cntlid), CONNECT(subnqn, subsysnqn), CONNECT(hostnqn, hostnqn),
	WHOLE(nvme_dsm_range, their_dsm_range), DSM(attributes, cattr), DSM(block_count, nlb),
	DSM(slba, slba), WHOLE(nvme_copy_range, their_copy_range), COPY_RANGE(slba),
	COPY_RANGE(nlb), COPY_RANGE(eilbrt), WHOLE(nvme_timestamp, their_timestamp),
	TIME(milliseconds, timestamp), TIME(attributes, attr),
	WHOLE(nvme_host_behavior, nvme_feat_host_behavior), BEHAVIOR(acre, acre),
	WHOLE(nvme_registrant, nvme_registered_ctrl), REGISTRANT(cntlid), REGISTRANT(rcsts),
	REGISTRANT(hostid), REGISTRANT(rkey),
	WHOLE(nvme_registrant_extended, nvme_registered_ctrl_ext), EXTENDED(cntlid),
	EXTENDED(rcsts), EXTENDED(rkey), EXTENDED(hostid), RESERVATION(gen), RESERVATION(rtype),
	RESERVATION(regctl), RESERVATION(ptpls),
	WHOLE(nvme_reservation_status_extended, nvme_resv_status)};

static void test_oracle_agrees_when_structures_are_of_identify(void **state)
{
	(void)state;
	check_fields(identify_fields, ARRAY_LENGTH(identify_fields));
}

static void test_oracle_agrees_when_structures_are_of_log_pages(void **state)
{
	(void)state;
	check_fields(log_fields, ARRAY_LENGTH(log_fields));
}

static void test_oracle_agrees_when_structures_are_of_commands(void **state)
{
	(void)state;
	check_fields(command_fields, ARRAY_LENGTH(command_fields));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oracle_agrees_when_structures_are_of_identify),
		cmocka_unit_test(test_oracle_agrees_when_structures_are_of_log_pages),
		cmocka_unit_test(test_oracle_agrees_when_structures_are_of_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
