/** What a warp keeps in registers of a latent. */
export const maxLatent = 2048;
