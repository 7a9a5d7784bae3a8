// The answers of the service the dashboard reads, as docs/API.md has them. For the type checker only; nothing loads it.

export type UserId = string | number;

export interface App {
  t: (key: string, places?: Record<string, string | number>) => string;
  /** The words for a name of the service (`reason`, `no_answer`), or the name itself where there are none. */
  word: (kind: string, name: string | null | undefined) => string;
  lang: string;
  /** What REST says: JSON as what it means, else the text. */
  api: (path: string, query?: Record<string, string | number | undefined>, init?: RequestInit) => Promise<any>;
  /** Goes to another address of the dashboard; an empty value takes a parameter away. */
  go: (changes: Record<string, string>, how?: { replace?: boolean }) => void;
  /** Where we are. */
  at: () => URLSearchParams;
  /** Says it to who listens instead of looking. */
  say: (text: string) => void;
  confirm: (title: string, text: string, yes: string) => Promise<boolean>;
  /** Does it once, with its button disabled meanwhile, says how it went and reads again. */
  act: (button: HTMLButtonElement, work: () => Promise<string>) => Promise<void>;
}

export interface View {
  /** Which parts of `admin_changed` make it worth reading again. */
  parts: string[];
  /** The address changed: puts it into the form fields. */
  enter?: (at: URLSearchParams) => void;
  /** Reads and shows. */
  load: (at: URLSearchParams, signal: AbortSignal) => Promise<void>;
}

export interface Overview {
  as_of: string;
  node: { id: string; version: string; started_at: string; uptime_seconds: number; draining: boolean };
  users: { known: number; online: number; in_call: number; busy: number };
  sessions: number;
  devices: number;
  calls: { initiated: number; ringing: number; answered: number };
  period: { calls: number; answered: number; missed: number; answer_rate: number | null; median_time_to_answer_ms: number | null };
  unseen_missed: number;
}

export interface LiveCall {
  id: number;
  status: string;
  caller_id: UserId;
  caller_name: string | null;
  callee_ids: UserId[];
  call_type: string;
  started_at: string;
  answered_at: string | null;
  participants: { user_id: UserId; name?: string | null; role: string; state: string; device_id?: string | null }[];
}

export interface Call extends LiveCall {
  conversation_id: UserId | null;
  reason: string | null;
  ended_at: string | null;
  duration_seconds: number;
}

export interface CallEvent { seq: number; at: string; what: string; who: UserId | null; detail: string | null }

export interface User {
  user_id: UserId;
  name: string | null;
  status: string;
  last_seen: string | null;
  current_call_with: UserId | null;
  devices: number;
}

export interface Session {
  id: string | number;
  user_id: UserId;
  name: string | null;
  device_id: string;
  kind: string;
  address: string | null;
  connected_at: string | null;
  last_seen: string | null;
  call_id: number | null;
  status: string;
}

export interface Missed {
  id: number;
  caller_id: UserId;
  caller_name: string | null;
  callee_id: UserId;
  call_type: string;
  call_time: string;
  reason: string;
  seen_by_callee: boolean;
}

/** A day or an hour: counts by outcome beside what is named here. */
export interface Bucket {
  at: string;
  calls: number;
  answered: number;
  missed: number;
  answer_rate: number | null;
  mean_duration_seconds: number | null;
  [outcome: string]: string | number | null;
}

export interface Stats {
  as_of: string;
  totals: Record<string, number>;
  answer_rate: number | null;
  duration_seconds: Record<'total' | 'mean' | 'median' | 'p95' | 'max', number | null>;
  time_to_answer_ms: Record<'mean' | 'median' | 'p95', number | null>;
  per_day: Bucket[];
  per_hour: Bucket[];
}
