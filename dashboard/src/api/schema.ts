// What the API answers, generated from public/openapi.json by `npm run types`.

export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        AcknowledgeBody: {
            hours: number | null;
        };
        Alert: {
            acknowledged_at: string | null;
            acknowledged_by: string | null;
            acknowledged_until: string | null;
            alert_key: string;
            alert_type: string;
            created_at: string;
            first_seen_at: string;
            history: components["schemas"]["HistoryEvent"][];
            id: string;
            last_seen_at: string;
            message: string;
            metadata: Record<string, unknown>;
            occurrences: number;
            previous_alert_id: string | null;
            resolution: string | null;
            resolution_note: string | null;
            resolved: boolean;
            resolved_at: string | null;
            resolved_by: string | null;
            severe_since: string | null;
            severity: string;
            snoozed_by: string | null;
            snoozed_until: string | null;
        };
        AlertChanges: {
            raised: string[];
            refreshed: string[];
            resolved: string[];
        };
        AlertPage: components["schemas"]["OpenCounts"] & {
            alerts: components["schemas"]["Alert"][];
            next_cursor: string | null;
        };
        Allowed: {
            outcome: string;
            until: string;
        };
        AllowHeld: {
            action: components["schemas"]["HeldOnly"];
            count: number;
            type: components["schemas"]["DriftClass"];
        };
        Answered: {
            request_id: string;
        };
        ApprovalResult: {
            code: string | null;
            drift: components["schemas"]["DriftEntry"] | null;
            error: string | null;
            id: string;
            outcome: string | null;
        };
        Approve: components["schemas"]["ApproveEach"] | components["schemas"]["AllowHeld"];
        ApproveEach: {
            ids: string[];
        };
        Attended: {
            alert: components["schemas"]["Alert"];
            outcome: string;
        };
        AutoResolve: {
            resolved_count: number;
        };
        /** @enum {string} */
        Channel: "pagerduty" | "slack" | "discord" | "email" | "webhook";
        ChannelHealth: {
            channel: components["schemas"]["Channel"];
            last_failure_at: string | null;
            last_success_at: string | null;
            min_severity: string;
            reason: string | null;
            status: components["schemas"]["ChannelStatus"];
        };
        /** @enum {string} */
        ChannelStatus: "ok" | "failing" | "off" | "not_configured";
        Conditions: {
            events_backlog: boolean | null;
            high_severity_stale: boolean | null;
            notifications_failing: boolean | null;
            reconcile_failing: boolean | null;
            reconcile_stale: boolean | null;
            settings_invalid: boolean | null;
            stripe_deliveries_failing: boolean | null;
            sweep_incomplete: boolean | null;
        };
        Counts: {
            created_count: number;
            error_count: number;
            held_count?: number;
            mismatch_count: number;
            scanned_count: number;
            skipped_count: number;
            superseded_count: number;
            total_issues: number;
            updated_count: number;
            waiting_count?: number;
        };
        Decided: {
            drift: components["schemas"]["DriftEntry"];
            excepted: components["schemas"]["DriftEntry"] | null;
            outcome: string;
        };
        DeliveryEntry: {
            alert_id: string | null;
            alert_key: string | null;
            attempts: number;
            channel: components["schemas"]["Channel"];
            created_at: string;
            id: string;
            kind: string;
            next_attempt_at: string | null;
            reason: string | null;
            sent_at: string | null;
            severity: string;
            status: string;
        };
        /** @enum {string} */
        DriftAction: "repaired" | "created" | "moved" | "observed" | "waiting" | "held" | "excepted" | "superseded" | "refused" | "none" | "cleared" | "reverted";
        /** @enum {string} */
        DriftClass: "status_mismatch" | "period_mismatch" | "cancel_at_period_end_mismatch" | "trial_end_mismatch" | "quantity_mismatch" | "price_mismatch" | "tier_mismatch" | "missing_in_database" | "organization_unknown" | "organization_mismatch" | "replaced_subscription" | "missing_in_stripe" | "customer_mismatch" | "duplicate_live_subscription" | "unknown_price" | "unknown_status" | "mixed_item_periods" | "livemode_mismatch" | "ambiguous_items" | "malformed_object" | "malformed_row";
        DriftCounts: {
            ended: {
                [key: string]: number;
            };
            new: {
                [key: string]: number;
            };
            standing: {
                [key: string]: number;
            };
        };
        DriftEntry: {
            action: components["schemas"]["DriftAction"];
            action_taken?: string;
            closed_at: string | null;
            closed_run_id: string | null;
            decided_at: string | null;
            decided_by: string | null;
            details: Record<string, unknown>;
            drift_key: string;
            excepted_until: string | null;
            first_run_id: string;
            first_seen_at: string;
            id: string;
            issue: string;
            last_run_id: string;
            last_seen_at: string;
            livemode: boolean | null;
            lowers_access: boolean;
            note: string | null;
            organization_id: string | null;
            owner: string | null;
            proposal: Record<string, unknown> | null;
            seen_count: number;
            severity: string;
            stripe_customer_id: string | null;
            stripe_subscription_id: string | null;
            type: string;
        };
        DriftEvent: {
            actor: string | null;
            created_at: string;
            drift_id: string;
            drift_key: string;
            event: components["schemas"]["DriftAction"];
            id: string;
            note: string | null;
            owner: string | null;
            run_id: string | null;
            stripe_customer_id: string | null;
            stripe_subscription_id: string | null;
            type: string;
        };
        DriftPage: {
            by_type: {
                [key: string]: number;
            };
            count: number;
            drift: components["schemas"]["DriftEntry"][];
            next_cursor: string | null;
        };
        Error: {
            code: string;
            error: string;
            request_id: string;
            retry_after?: number;
        };
        EventAnswer: {
            due: number;
            received: boolean;
        };
        EventBody: {
            livemode: boolean;
            object: string;
            type: string;
        };
        ExceptBody: {
            days: number;
            reason: string;
        };
        ExportedRow: components["schemas"]["DriftEntry"] | components["schemas"]["DriftEvent"] | components["schemas"]["Run"];
        Health: {
            commit: string | null;
            complaints: string[];
            schema_version: number | null;
            settings: {
                [key: string]: boolean;
            };
            status: string;
            version: string;
        };
        /** @enum {string} */
        HeldOnly: "held";
        HistoryEvent: {
            actor: string | null;
            created_at: string;
            event: string;
            reason: string | null;
            severity: string;
        };
        ItemError: {
            error: string;
            id: string | null;
        };
        ManyApproved: {
            results: components["schemas"]["ApprovalResult"][];
        } | components["schemas"]["Allowed"];
        MonitorAnswer: {
            alerts: components["schemas"]["AlertChanges"];
            auto_resolve: components["schemas"]["AutoResolve"];
            monitoring: components["schemas"]["Conditions"];
            success: boolean;
        };
        NoteBody: {
            note: string;
        };
        /** @enum {string} */
        Nothing: "nothing_due";
        NothingDueAnswer: components["schemas"]["Counts"] & {
            duplicate: boolean;
            errors: components["schemas"]["ItemError"][];
            message: string;
            next_due_in: number | null;
            outcome: components["schemas"]["Nothing"];
            reconciliations: components["schemas"]["Reported"][];
            repair_mode: components["schemas"]["RepairMode"];
            scope: components["schemas"]["RunScope"];
            success: boolean;
        };
        NotificationPage: {
            channels: components["schemas"]["ChannelHealth"][];
            deliveries: components["schemas"]["DeliveryEntry"][];
            next_cursor: string | null;
        };
        OpenCounts: {
            count: number;
            critical_count: number;
            high_count: number;
            info_count: number;
            warning_count: number;
        };
        PassAnswer: components["schemas"]["MonitorAnswer"] | {
            deliveries: components["schemas"]["Sent"];
            success: boolean;
        };
        Policies: {
            policies: components["schemas"]["PolicyEntry"][];
            repair_mode: components["schemas"]["RepairMode"];
        };
        PolicyBody: {
            if_version: number;
            mode: components["schemas"]["RepairMode"];
            type: components["schemas"]["DriftClass"];
        };
        PolicyEntry: {
            effective: components["schemas"]["RepairMode"];
            mode: components["schemas"]["RepairMode"];
            preview: components["schemas"]["Preview"];
            repairable: boolean;
            type: components["schemas"]["DriftClass"];
            updated_at: string | null;
            updated_by: string | null;
            version: number;
        };
        Preview: {
            creates: number;
            lowers: number;
            raises: number;
            repairs: number;
        };
        PublicConfig: {
            supabase_publishable_key: string;
            supabase_url: string;
        };
        ReconcileAnswer: components["schemas"]["RunAnswer"] | components["schemas"]["NothingDueAnswer"];
        /** @enum {string} */
        RepairMode: "observe" | "approve" | "auto";
        Reported: {
            action: components["schemas"]["DriftAction"];
            action_taken: string;
            drift_id: string | null;
            first_seen_at: string | null;
            fixed: boolean;
            issue: string;
            organization_id: string | null;
            stripe_subscription_id: string | null;
            type: components["schemas"]["DriftClass"];
        };
        ResolveBody: {
            note: string | null;
        };
        Resolved: {
            alert: components["schemas"]["Alert"];
            already_resolved: boolean;
            outcome: string;
        };
        RetryBody: {
            retry: string;
        };
        RevertBody: {
            note: string | null;
        };
        Run: components["schemas"]["Counts"] & {
            attempt: number;
            duration_ms: number | null;
            error_code: string | null;
            error_message: string | null;
            finished_at: string | null;
            heartbeat_at: string | null;
            id: string;
            lease_expires_at: string | null;
            lookback_hours: number;
            message: string | null;
            run_key: string;
            run_type: string;
            scope: components["schemas"]["RunScope"];
            started_at: string;
            status: string;
            sweep_started_at: string | null;
            triggered_by: components["schemas"]["TriggeredBy"] | null;
        };
        RunAnswer: components["schemas"]["Counts"] & {
            attempt: number;
            duplicate: boolean;
            duration_ms: number | null;
            errors: components["schemas"]["ItemError"][];
            lookback_hours: number;
            message: string;
            outcome: components["schemas"]["StartOutcome"];
            reconciliation_log_id: string;
            reconciliations: components["schemas"]["Reported"][];
            repair_mode: components["schemas"]["RepairMode"];
            run_key: string;
            run_type: string;
            scope: components["schemas"]["RunScope"];
            status: string;
            success: boolean;
            sweep_started_at: string | null;
        };
        RunDetail: {
            counts: components["schemas"]["DriftCounts"];
            drift: components["schemas"]["DriftEntry"][];
            next_cursor: string | null;
            run: components["schemas"]["Run"];
        };
        RunPage: {
            count: number;
            next_cursor: string | null;
            runs: components["schemas"]["Run"][];
        };
        /** @enum {string} */
        RunScope: "all" | "changed" | "due";
        SendBody: components["schemas"]["TestBody"] | components["schemas"]["RetryBody"];
        Sent: {
            failed: number;
            refused: number;
            sent: number;
        };
        SnoozeBody: {
            minutes: number;
            note: string | null;
        };
        /** @enum {string} */
        StartOutcome: "created" | "reclaimed" | "existing_running" | "existing_finished" | "busy" | "conflict" | "nothing_due";
        TestBody: {
            test: components["schemas"]["Channel"];
        };
        ToldAnswer: {
            answer: string;
            outcome: string;
            status: number | null;
        };
        /** @enum {string} */
        TriggeredBy: "cron" | "secret" | "admin" | "event";
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
