const DEPLOYED = {};
