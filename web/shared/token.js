// Whose a token is, as the service reads it: which claim says so is configured there.

const TIMEOUT = 10_000;

/**
 * The user a token is of, or why the service does not take it.
 * @param {string} token @returns {Promise<{ user: string, refused?: undefined } | { user?: undefined, refused: string }>}
 */
export async function bearer(token) {
  const answer = await fetch(new URL('../api/me', import.meta.url), {
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(TIMEOUT),
  });
  const { user_id: user, error } = await answer.json();
  if (answer.ok) return { user: String(user) };
  if (answer.status === 401) return { refused: error };
  throw new Error(error);
}
