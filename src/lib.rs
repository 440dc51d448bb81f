//! billing-ops: reconciles Stripe with Supabase, watches that this happens, and raises each alarm once.
